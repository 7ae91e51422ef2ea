// RotaryEmbedding of the default domain (opset 23) and of com.microsoft, whose inputs have a
// different order.

#include "lib/ops/kernels/rotary.h"

#include "lib/ops/kernels/attention_core.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// Tables [positions, width / 2], and the row of each token [batch, length].
struct Angles {
  const Tensor *cos = nullptr, *sin = nullptr;
  std::vector<int64_t> rows;
};

Status CheckTables(const Angles& angles, int64_t width) {
  const Tensor &cos = *angles.cos, &sin = *angles.sin;
  if (width < 0 || width % 2 != 0 || cos.rank() < 2 || cos.shape() != sin.shape() ||
      cos.dim(-1) != width / 2)
    return ModelError(StrCat("tables cos ", ShapeString(cos.shape()), " and sin ",
                             ShapeString(sin.shape()), " for ", width, " rotated elements"));
  const int64_t rows = Product(cos.shape(), 0, cos.rank() - 1);
  for (int64_t row : angles.rows)
    if (row < 0 || row >= rows)
      return ModelError(StrCat("position ", row, " of a table of ", rows, " rows"));
  return OkStatus();
}

Status Rotate(OpContext& context, const Heads& x, const Rotation& rotation, const Angles& angles) {
  if (rotation.width > x.width)
    return ModelError(StrCat("rotation of ", rotation.width, " elements in rows of ", x.width));
  RETURN_IF_ERROR(CheckTables(angles, rotation.width));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, context.input(0)->shape()));
  const float *cos = angles.cos->data<float>(), *sin = angles.sin->data<float>();
  float* to = y->mutable_data<float>();
  const int64_t half = rotation.width / 2, rows = x.heads * x.length;
  if (y->size() == 0) return OkStatus();
  ParallelFor(x.batch * rows, RowGrain(x.width), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t b = unit / rows, head = unit % rows / x.length, i = unit % x.length;
      const int64_t at = angles.rows[b * x.length + i] * half;
      const float* from = x.Row(b, head, i);
      RotateRow(rotation, cos + at, sin + at, x.width, from, to + (from - x.data));
    }
  });
  return OkStatus();
}

// Positions [batch, length]; one value is the position of every sample's first token.
Result<std::vector<int64_t>> Positions(const OpContext& context, size_t i, const Heads& x) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> given, IntegerInput(context, i));
  const int64_t tokens = x.batch * x.length;
  if (context.input(i)->rank() == 2 && static_cast<int64_t>(given.size()) == tokens) return given;
  if (given.size() != 1 || given[0] < 0 || given[0] > kMaxTensorBytes)
    return ModelError(StrCat("position_ids ", ShapeString(context.input(i)->shape()), " for ",
                             x.batch, " x ", x.length, " tokens"));
  std::vector<int64_t> rows(static_cast<size_t>(tokens));
  for (int64_t t = 0; t < tokens; ++t) rows[t] = given[0] + t % x.length;
  return rows;
}

Status RotaryEmbedding(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2}));
  const graph::Node& node = context.node();
  ASSIGN_OR_RETURN(const Heads x, ViewHeads(*context.input(0), node.Int("num_heads", 0), "X"));
  Rotation rotation{node.Int("rotary_embedding_dim", 0), node.Int("interleaved", 0) != 0};
  if (rotation.width == 0) rotation.width = x.width;
  Angles angles{context.input(1), context.input(2), {}};
  if (context.input(3)) {
    ASSIGN_OR_RETURN(angles.rows, Positions(context, 3, x));
  } else {  // the tables have one row per token
    const int64_t tokens = x.batch * x.length;
    if (angles.cos->shape() != Shape{x.batch, x.length, rotation.width / 2})
      return ModelError(StrCat("table cos ", ShapeString(angles.cos->shape()), " for ", x.batch,
                               " x ", x.length, " tokens"));
    for (int64_t t = 0; t < tokens; ++t) angles.rows.push_back(t);
  }
  return Rotate(context, x, rotation, angles);
}

// 3-D inputs may omit num_heads: the tables then span a whole head.
Status ContribRotaryEmbedding(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 4));
  RETURN_IF_ERROR(RequireFloat(context, {0, 2, 3}));
  const graph::Node& node = context.node();
  const Tensor &x = *context.input(0), &cos = *context.input(2);
  if (node.Int("is_packed_batching", 0) != 0)
    return ModelError("RotaryEmbedding with packed batches is not supported");
  int64_t heads = node.Int("num_heads", 0);
  const int64_t half = cos.rank() == 2 ? cos.dim(1) : 0;
  if (heads == 0 && x.rank() == 3 && half > 0) heads = x.dim(2) / (2 * half);
  ASSIGN_OR_RETURN(const Heads view, ViewHeads(x, heads, "the input"));
  Rotation rotation{node.Int("rotary_embedding_dim", 0), node.Int("interleaved", 0) != 0};
  if (rotation.width == 0) rotation.width = view.width;
  Angles angles{&cos, context.input(3), {}};
  ASSIGN_OR_RETURN(angles.rows, Positions(context, 1, view));
  const float scale = node.Float("scale", 1);
  if (scale == 1) return Rotate(context, view, rotation, angles);
  return ModelError(StrCat("RotaryEmbedding with scale ", scale, " is not supported"));
}

}  // namespace

std::vector<OpEntry> RotaryRows() {
  return {
      {"RotaryEmbedding", "", 23, kLatest, &ViaFloat<&RotaryEmbedding>},
      {"RotaryEmbedding", "com.microsoft", 1, kLatest, &ViaFloat<&ContribRotaryEmbedding>},
  };
}

}  // namespace roundel::engine
