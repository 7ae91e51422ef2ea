#include <algorithm>
#include <cmath>

#include "lib/solver/linalg.h"

#include "tests/lib/solver/layers.h"

namespace roundel::solver {
namespace {

std::vector<double> Doubles(Random& random, int64_t count) {
  std::vector<double> values(static_cast<size_t>(count));
  for (double& v : values) v = random.Normal();
  return values;
}

TEST_CASE("a product of matrices over awkward shapes and strides") {
  Random random(1);
  const int64_t sizes[][3] = {{1, 1, 1},    {0, 3, 4},       {3, 0, 4},
                              {3, 4, 0},    {6, 16, 256},    {7, 17, 257},
                              {97, 33, 12}, {100, 130, 300}, {5, 200, 513}};
  for (const auto& [m, n, k] : sizes)
    for (const bool transposed : {false, true}) {
      INFO(m << " " << n << " " << k << " " << transposed);
      const std::vector<double> a = Doubles(random, m * k), b = Doubles(random, k * (n + 3));
      std::vector<double> c = Doubles(random, m * (n + 2)), expected = c;
      const Strided<double> view =
          transposed ? Strided<double>{a.data(), 1, k} : Strided<double>{a.data(), m, 1};
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j)
          for (int64_t q = 0; q < k; ++q)
            expected[i * (n + 2) + j] -=
                2 * (transposed ? a[i * k + q] : a[q * m + i]) * b[q * (n + 3) + j];
      AddProduct(m, n, k, -2.0, view, b.data(), n + 3, c.data(), n + 2);
      double worst = 0;
      for (size_t i = 0; i < c.size(); ++i) worst = std::max(worst, std::fabs(c[i] - expected[i]));
      CHECK(worst < 1e-11);
    }
}

TEST_CASE("a product in float, its upper triangle, and doubles times floats") {
  Random random(2);
  constexpr int64_t kN = 150, kDepth = 400;
  const std::vector<float> x = Normals(random, kDepth * kN);
  std::vector<float> whole(kN * kN), upper(kN * kN);
  std::vector<double> wide(kN * kN), wx(x.begin(), x.end());
  AddProduct(kN, kN, kDepth, 1.0f, Strided<float>{x.data(), kN, 1}, x.data(), kN, whole.data(), kN);
  AddProduct(kN, kN, kDepth, 1.0f, Strided<float>{x.data(), kN, 1}, x.data(), kN, upper.data(), kN,
             true);
  std::vector<float> packed(kN * kN);
  const PackedMatrix laid_out(x.data(), kDepth, kN);
  AddProduct(kN, 1.0f, Strided<float>{x.data(), kN, 1}, laid_out, packed.data(), kN);
  CHECK(packed == whole);
  AddProduct(kN, kN, kDepth, 1.0, Strided<double>{wx.data(), kN, 1}, x.data(), kN, wide.data(), kN);
  for (int64_t i = 0; i < kN; ++i)
    for (int64_t j = i; j < kN; ++j) {
      double sum = 0;
      for (int64_t q = 0; q < kDepth; ++q) sum += double{x[q * kN + i]} * double{x[q * kN + j]};
      REQUIRE(whole[i * kN + j] == Approx(sum).margin(1e-3));
      REQUIRE(upper[i * kN + j] == whole[i * kN + j]);
      REQUIRE(wide[i * kN + j] == Approx(sum).margin(1e-10));
    }
}

TEST_CASE("Cholesky factors and solves, also singular matrices and dead columns") {
  Random random(3);
  for (const int64_t n : {1, 2, 9, 95, 96, 97, 300}) {
    const int64_t rank = n > 9 ? n / 2 : n;  // singular from 95 on
    const std::vector<double> x = Doubles(random, rank * n);
    std::vector<double> a(static_cast<size_t>(n * n));
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        for (int64_t q = 0; q < rank; ++q) a[i * n + j] += x[q * n + i] * x[q * n + j];
        if (n > 9 && i == j) a[i * n + j] += 1e-3;
        if (n > 2 && (i == 1 || j == 1)) a[i * n + j] = 0;  // a dead column
      }
    std::vector<double> u = a;
    Cholesky(n, 1e-9, &u);
    double worst = 0;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = i; j < n; ++j) {
        double sum = 0;
        for (int64_t q = 0; q <= i; ++q) sum += u[q * n + i] * u[q * n + j];
        if (n > 2 && i == 1 && j == 1) sum -= 1;  // its unit row
        worst = std::max(worst, std::fabs(sum - a[i * n + j]));
      }
    CHECK(worst < 1e-10 * static_cast<double>(n + 1));
    constexpr int64_t kRight = 5;
    std::vector<double> b = Doubles(random, n * kRight), solution = b;
    SolveCholesky(n, u, kRight, &solution);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t r = 0; r < kRight; ++r) {
        double sum = 0;
        for (int64_t j = 0; j < n; ++j) sum += a[i * n + j] * solution[j * kRight + r];
        if (n > 2 && i == 1) sum += solution[i * kRight + r];
        REQUIRE(sum == Approx(b[i * kRight + r]).margin(1e-6));
      }
  }
}

TEST_CASE("a matrix that is no square of anything gives numbers all the same") {
  std::vector<double> a = {1, 2, 3, 2, -5, 1, 3, 1, 1e-30};
  Cholesky(3, 1e-6, &a);
  for (const double v : a) CHECK(std::isfinite(v));
}

TEST_CASE("a dot product and a scaled sum") {
  Random random(4);
  for (const int64_t n : {0, 1, 7, 8, 9, 1000}) {
    const std::vector<float> a = Normals(random, n), b = Normals(random, n);
    std::vector<float> y = b;
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += double{a[i]} * double{b[i]};
    CHECK(Dot(a.data(), b.data(), n) == Approx(sum).margin(1e-9));
    AddScaled(0.5f, a.data(), y.data(), n);
    for (int64_t i = 0; i < n; ++i) REQUIRE(y[i] == Approx(b[i] + 0.5f * a[i]).margin(1e-6));
  }
}

}  // namespace
}  // namespace roundel::solver
