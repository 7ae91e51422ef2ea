#include "lib/solver/gram.h"

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/solver/linalg.h"

namespace roundel::solver {
namespace {

// Columns that are summed in float before they are added to the double sums.
constexpr int64_t kFloatRun = 1024;

// to[i, j] += sum over rows of a[row, i] b[row, j]; the upper triangle only if `upper`.
void AddProducts(std::span<const float> a, int64_t m, std::span<const float> b, int64_t n,
                 int64_t rows, bool upper, std::vector<double>* to) {
  std::vector<float> sums(static_cast<size_t>(m * n));
  for (int64_t from = 0; from < rows; from += kFloatRun) {
    const int64_t run = std::min(kFloatRun, rows - from);
    std::fill(sums.begin(), sums.end(), 0.0f);
    AddProduct(m, n, run, 1.0f, Strided<float>{a.data() + from * m, m, 1}, b.data() + from * n, n,
               sums.data(), n, upper);
    ParallelFor(m, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        for (int64_t j = upper ? i : 0; j < n; ++j) (*to)[i * n + j] += sums[i * n + j];
    });
  }
}

void AddVector(const std::vector<double>& from, std::vector<double>* to) {
  for (size_t i = 0; i < from.size(); ++i) (*to)[i] += from[i];
}

bool AllFinite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

}  // namespace

Gram::Gram(int64_t inputs, int64_t outputs, bool asymmetric) : n(inputs), m(outputs) {
  xx.resize(static_cast<size_t>(n * n));
  x.resize(static_cast<size_t>(n));
  if (!asymmetric) return;
  yx.resize(static_cast<size_t>(m * n));
  y.resize(static_cast<size_t>(m));
  yy.resize(static_cast<size_t>(m));
}

void Gram::Observe(std::span<const float> x_rows, std::span<const float> y_rows, int64_t rows) {
  INVARIANT(static_cast<int64_t>(x_rows.size()) == rows * n, "columns of another length");
  AddProducts(x_rows, n, x_rows, n, rows, true, &xx);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < n; ++j) x[j] += x_rows[r * n + j];
  count += static_cast<double>(rows);
  if (yx.empty()) return;
  INVARIANT(static_cast<int64_t>(y_rows.size()) == rows * m, "outputs of another length");
  AddProducts(y_rows, m, x_rows, n, rows, false, &yx);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t o = 0; o < m; ++o) {
      const double value = y_rows[r * m + o];
      y[o] += value;
      yy[o] += value * value;
    }
}

void Gram::Add(const Gram& other) {
  INVARIANT(n == other.n && m == other.m && yx.size() == other.yx.size(),
            "statistics of different layers");
  count += other.count;
  AddVector(other.xx, &xx);
  AddVector(other.x, &x);
  AddVector(other.yx, &yx);
  AddVector(other.y, &y);
  AddVector(other.yy, &yy);
}

Status CheckGram(const Gram& gram) {
  const auto n = static_cast<size_t>(gram.n), m = static_cast<size_t>(gram.m);
  const bool targets = !gram.y.empty() || !gram.yx.empty() || !gram.yy.empty();
  if (gram.n < 0 || gram.m < 0 || gram.xx.size() != n * n || gram.x.size() != n ||
      (targets && (gram.yx.size() != m * n || gram.y.size() != m || gram.yy.size() != m)))
    return DataError(StrCat("statistics of a layer with ", gram.n, " inputs and ", gram.m,
                            " outputs have other sizes"));
  if (!std::isfinite(gram.count) || gram.count < 0 || !AllFinite(gram.xx) || !AllFinite(gram.x) ||
      !AllFinite(gram.yx) || !AllFinite(gram.y) || !AllFinite(gram.yy))
    return DataError("the inputs of a layer are not finite on the calibration data");
  for (size_t i = 0; i < n; ++i)
    if (gram.xx[i * n + i] < 0) return DataError("statistics of a layer hold a negative square");
  return OkStatus();
}

std::vector<double> BestBiasShift(const Gram& gram, std::span<const float> w,
                                  std::span<const float> w_hat) {
  std::vector<double> shift(static_cast<size_t>(gram.m));
  if (!(gram.count > 0)) return shift;
  for (int64_t o = 0; o < gram.m; ++o) {
    double sum = gram.asymmetric() ? gram.y[o] : 0;
    for (int64_t j = 0; j < gram.n; ++j) {
      const double target = gram.asymmetric() ? 0.0 : double{w[o * gram.n + j]};
      sum += (target - double{w_hat[o * gram.n + j]}) * gram.x[j];
    }
    shift[o] = sum / gram.count;
  }
  return shift;
}

}  // namespace roundel::solver
