#include "lib/ops/kernels/attention_mask.h"

#include <algorithm>
#include <limits>

#include "lib/ops/kernels/common.h"

namespace roundel::engine {
namespace {

constexpr float kLeftOut = -std::numeric_limits<float>::infinity();

Tensor BiasValues(const Tensor& mask) {
  if (mask.dtype() != DType::kBool) return mask.ToFloat();
  Tensor values = Tensor::Empty(DType::kFloat, mask.shape());
  const bool* from = mask.data<bool>();
  float* to = values.mutable_data<float>();
  for (int64_t i = 0; i < mask.size(); ++i) to[i] = from[i] ? 0.0f : kLeftOut;
  return values;
}

}  // namespace

void ScoreBias::AddTo(int64_t b, int64_t head, int64_t i, float* scores, int64_t keys) const {
  const float* from = values.data<float>() + b * steps[0] + head * steps[1] + i * steps[2];
  for (int64_t j = 0; j < columns; ++j) scores[j] += from[j];
  std::fill(scores + columns, scores + keys, kLeftOut);
}

Result<ScoreBias> ReadBias(const Tensor& mask, const Heads& q, int64_t keys) {
  const Shape wanted = {q.batch, q.heads, q.length};
  const int64_t rank = mask.rank();
  const bool numeric =
      mask.dtype() == DType::kBool || IsFloating(mask.dtype()) || IsInteger(mask.dtype());
  bool fits = numeric && rank >= 1 && rank <= 4 && mask.dim(-1) <= keys;
  ScoreBias bias;
  for (int64_t axis = 0, step = fits ? mask.dim(-1) : 0; fits && axis < rank - 1; ++axis) {
    const int64_t dim = mask.dim(rank - 2 - axis);  // from the right
    fits = dim == 1 || dim == wanted[2 - axis];
    bias.steps[2 - axis] = dim == 1 ? 0 : step;
    step *= dim;
  }
  if (!fits)
    return ModelError(StrCat("mask ", DTypeName(mask.dtype()), ShapeString(mask.shape()),
                             " does not fit scores of ", ShapeString(wanted), " x ", keys));
  bias.values = BiasValues(mask);
  bias.columns = mask.dim(-1);
  return bias;
}

Result<ScoreBias> ReadPadding(const OpContext& context, size_t i, const Heads& q, int64_t keys,
                              float filter) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> given, IntegerInput(context, i));
  const Shape& shape = context.input(i)->shape();
  const bool ends = shape == Shape{q.batch}, spans = shape == Shape{2 * q.batch};
  const bool by_row = shape == Shape{q.batch, q.length, keys};
  if (!ends && !spans && !by_row && shape != Shape{q.batch, keys})
    return ModelError(StrCat("mask of shape ", ShapeString(shape), " for ", q.batch, " x ",
                             q.length, " queries and ", keys, " keys is not supported"));
  const int64_t rows = by_row ? q.length : 1;
  RETURN_IF_ERROR(CheckSize(DType::kFloat, {q.batch, rows, keys}));
  ScoreBias bias{Tensor::Empty(DType::kFloat, {q.batch, rows, keys}),
                 keys,
                 {rows * keys, 0, by_row ? keys : 0}};
  float* to = bias.values.mutable_data<float>();
  for (int64_t k = 0; k < q.batch * rows * keys; ++k) {
    const int64_t b = k / (rows * keys), j = k % keys;
    const bool inside = ends    ? j < given[b]
                        : spans ? j < given[b] && j >= given[q.batch + b]
                                : given[k] > 0;
    to[k] = inside ? 0.0f : filter;
  }
  return bias;
}

}  // namespace roundel::engine
