// Dropout (inference), Det and Inverse.

#include <algorithm>
#include <cmath>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/types.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// In inference y = x, and the mask is all ones.
Status Dropout(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  if (context.opset() >= 12 && context.input(2)) {
    ASSIGN_OR_RETURN(const int64_t training, IntegerScalar(context, 2));
    float ratio = 0.5f;
    if (context.input(1)) {
      ASSIGN_OR_RETURN(ratio, FloatScalar(context, 1));
    }
    if (training != 0 && ratio != 0)
      return ModelError("Dropout in training mode is random and not supported");
  }
  context.SetOutput(0, x);
  if (!context.wants(1)) return OkStatus();
  const DType type = context.opset() >= 10 ? DType::kBool : x.dtype();
  return VisitNumericOrBool(type, [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor * mask, NewOutput(context, 1, type, x.shape()));
    std::fill_n(mask->mutable_data<T>(), mask->size(), ConvertTo<T>(1.0f));
    return OkStatus();
  });
}

// Determinant by Gaussian elimination with partial pivoting; overwrites `a`.
double Determinant(std::vector<double>& a, int64_t n) {
  double result = 1;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i)
      if (std::fabs(a[i * n + k]) > std::fabs(a[pivot * n + k])) pivot = i;
    if (a[pivot * n + k] == 0) return 0;
    if (pivot != k) {
      for (int64_t j = 0; j < n; ++j) std::swap(a[k * n + j], a[pivot * n + j]);
      result = -result;
    }
    result *= a[k * n + k];
    for (int64_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / a[k * n + k];
      for (int64_t j = k; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return result;
}

Status Det(OpContext& context) {
  RETURN_IF_ERROR(RequireRank(context, 0, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  const int64_t n = x.dim(-1);
  if (x.dim(-2) != n) return ModelError(StrCat("matrices ", ShapeString(x.shape()), " not square"));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat,
                                         Shape(x.shape().begin(), x.shape().end() - 2)));
  for (int64_t i = 0; i < y->size(); ++i) {
    const float* from = x.data<float>() + i * n * n;
    std::vector<double> matrix(from, from + n * n);
    y->mutable_data<float>()[i] = static_cast<float>(Determinant(matrix, n));
  }
  return OkStatus();
}

// ---- Inverse, by Gauss-Jordan elimination with partial pivoting

// False if `a` is singular. Overwrites `a`. Requires: `inverse` is the identity.
bool Invert(std::vector<double>& a, std::vector<double>& inverse, int64_t n) {
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i)
      if (std::fabs(a[i * n + k]) > std::fabs(a[pivot * n + k])) pivot = i;
    if (!(std::fabs(a[pivot * n + k]) > 0)) return false;
    const double scale = 1 / a[pivot * n + k];
    for (int64_t j = 0; j < n; ++j) {
      std::swap(a[k * n + j], a[pivot * n + j]);
      std::swap(inverse[k * n + j], inverse[pivot * n + j]);
      a[k * n + j] *= scale;
      inverse[k * n + j] *= scale;
    }
    for (int64_t i = 0; i < n; ++i) {
      const double factor = a[i * n + k];
      for (int64_t j = 0; i != k && j < n; ++j) {
        a[i * n + j] -= factor * a[k * n + j];
        inverse[i * n + j] -= factor * inverse[k * n + j];
      }
    }
  }
  return true;
}

Status Inverse(OpContext& context) {
  RETURN_IF_ERROR(RequireRank(context, 0, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  const int64_t n = x.dim(-1);
  if (x.dim(-2) != n) return ModelError(StrCat("matrices ", ShapeString(x.shape()), " not square"));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  for (int64_t start = 0; start < x.size(); start += n * n) {
    const float* from = x.data<float>() + start;
    std::vector<double> matrix(from, from + n * n), inverse(static_cast<size_t>(n * n), 0.0);
    for (int64_t i = 0; i < n; ++i) inverse[i * n + i] = 1;
    if (!Invert(matrix, inverse, n)) return ModelError("a matrix has no inverse");
    for (int64_t i = 0; i < n * n; ++i)
      y->mutable_data<float>()[start + i] = static_cast<float>(inverse[i]);
  }
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> MiscRows() {
  return {
      {"Det", "", 11, kLatest, &ViaFloat<&Det>},
      {"Dropout", "", 1, kLatest, &Dropout},
      {"Inverse", "com.microsoft", 1, kLatest, &ViaFloat<&Inverse>},
  };
}

}  // namespace roundel::engine
