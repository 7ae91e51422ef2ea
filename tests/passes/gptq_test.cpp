// Oracle: GPTQ as its paper writes it, with the inverse of H and its Cholesky factor, in double.

#include <algorithm>
#include <cmath>

#include "tests/support/layerwise.h"

namespace roundel::passes {
namespace {

using support::CorrelatedSource;
using support::OutputError;
using support::Round;
using support::VectorSource;

using Matrix = std::vector<std::vector<double>>;

Matrix Inverse(Matrix a) {
  const size_t n = a.size();
  Matrix inverse(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i) inverse[i][i] = 1;
  for (size_t k = 0; k < n; ++k) {
    const double pivot = a[k][k];
    for (size_t j = 0; j < n; ++j) a[k][j] /= pivot, inverse[k][j] /= pivot;
    for (size_t i = 0; i < n; ++i) {
      const double factor = a[i][k];
      if (i == k) continue;
      for (size_t j = 0; j < n; ++j)
        a[i][j] -= factor * a[k][j], inverse[i][j] -= factor * inverse[k][j];
    }
  }
  return inverse;
}

// Upper factor U with A = U^T U.
Matrix UpperCholesky(const Matrix& a) {
  const size_t n = a.size();
  Matrix u(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i)
    for (size_t j = i; j < n; ++j) {
      double sum = a[i][j];
      for (size_t k = 0; k < i; ++k) sum -= u[k][i] * u[k][j];
      u[i][j] = i == j ? std::sqrt(sum) : sum / u[i][i];
    }
  return u;
}

TEST_CASE("the codes are those of the published algorithm") {
  constexpr int64_t n = 12, m = 6;
  const char* net = R"(opset 13
    graph g (float32[N,12] x) => (float32[N,6] y) {
      float32[12,6] w = random(1)
      y = MatMul(x, w)
    })";
  VectorSource data = CorrelatedSource({32, n}, 6, 3, true);
  const auto r = Round(net, "gptq", &data,
                       {.params = {{"held_out", "0"}, {"order", "natural"}, {"damping", "0.01"}}});
  Matrix h(n, std::vector<double>(n));
  double count = 0;
  REQUIRE(data.Rewind().ok());
  while (const auto batch = data.Next().value())
    for (int64_t s = 0; s < batch->size; ++s, ++count)
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j)
          h[i][j] += static_cast<double>(batch->inputs[0].data<float>()[s * n + i]) *
                     batch->inputs[0].data<float>()[s * n + j];
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) h[i][j] *= (i == j ? 1.01 : 1.0) / count;
  const Matrix u = UpperCholesky(Inverse(h));
  int64_t equal = 0;
  for (int64_t o = 0; o < m; ++o) {
    const double scale = r->Weight("w").params[static_cast<size_t>(o)].scale;
    std::vector<double> v(n);
    for (int64_t j = 0; j < n; ++j) v[j] = r->before.graph->Constant("w")->data<float>()[j * m + o];
    for (int64_t j = 0; j < n; ++j) {
      const double q = std::clamp(std::nearbyint(v[j] / scale), -7.0, 7.0);
      equal += r->Code("w", j * m + o) == static_cast<int>(q);
      const double error = (v[j] - q * scale) / u[j][j];
      for (int64_t k = j; k < n; ++k) v[k] -= error * u[j][k];
    }
  }
  CHECK(equal == n * m);
}

TEST_CASE("gptq beats nearest on a layer of each kind, in every order") {
  const auto check = [](const std::string& text, const Shape& shape) {
    INFO(text);
    VectorSource data = CorrelatedSource(shape, 8, 3);
    const double nearest = OutputError(*Round(text, "", &data), &data);
    for (const char* order : {"natural", "activation", "reversed"})
      CHECK(OutputError(*Round(text, "gptq", &data, {.params = {{"order", order}}}), &data) <
            0.9 * nearest);
    const double searched = OutputError(
        *Round(text, "gptq", &data, {.params = {{"scales", "searched"}, {"target", "float"}}}),
        &data);
    CHECK(searched < 0.7 * nearest);
  };
  check(R"(opset 13
    graph g (float32[N,4,6,6] x) => (float32[N,8,6,6] y) {
      float32[8,4,3,3] w = random(1)
      y = Conv<pads=[1,1,1,1]>(x, w)
    })",
        {16, 4, 6, 6});
  check(R"(opset 13
    graph g (float32[N,12] x) => (float32[N,6] y) {
      float32[6,12] w = random(1)
      float32[6] b = random(2)
      y = Gemm<transB=1>(x, w, b)
    })",
        {64, 12});
}

}  // namespace
}  // namespace roundel::passes
