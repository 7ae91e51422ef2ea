// Attention with projections, its form on codes (QAttention), and MultiHeadAttention of
// com.microsoft.

#include <algorithm>
#include <limits>
#include <optional>

#include "lib/ops/kernels/attention_core.h"
#include "lib/ops/kernels/attention_mask.h"
#include "lib/ops/kernels/attention_setup.h"
#include "lib/ops/kernels/codes_math.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/matrix_product.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// `x` plus one value per head and column, stored in `store`; `x` itself without a bias.
Heads AddBias(const Heads& x, const float* bias, Tensor* store) {
  if (bias == nullptr) return x;
  *store = Tensor::Empty(DType::kFloat, {x.batch, x.heads, x.length, x.width});
  float* to = store->mutable_data<float>();
  for (int64_t line = 0; line < x.batch * x.heads; ++line) {
    const int64_t head = line % x.heads;
    for (int64_t i = 0; i < x.length; ++i) {
      const float* from = x.Row(line / x.heads, head, i);
      for (int64_t c = 0; c < x.width; ++c) *to++ = from[c] + bias[head * x.width + c];
    }
  }
  return ViewWhole(*store);
}

// Padding mask, causal mask and attention bias; the members are indices of inputs.
struct MaskInputs {
  size_t padding, bias;
};

Status SetMask(const OpContext& context, MaskInputs inputs, int64_t past, AttentionCall* call) {
  const int64_t keys = call->k.length;
  std::optional<ScoreBias> padding, bias;
  if (context.input(inputs.padding)) {
    const float filter = context.node().Float("mask_filter_value", -10000);
    ASSIGN_OR_RETURN(padding, ReadPadding(context, inputs.padding, call->q, keys, filter));
  }
  if (const Tensor* values = context.input(inputs.bias)) {
    if (values->rank() != 4 || values->dim(3) != keys)
      return ModelError(
          StrCat("attention_bias of shape ", ShapeString(values->shape()), " for ", keys, " keys"));
    ASSIGN_OR_RETURN(bias, ReadBias(*values, call->q, keys));
  }
  const bool causal = context.node().Int("unidirectional", 0) != 0;
  call->mask = [=](int64_t b, int64_t head, int64_t i, float* scores) {
    if (padding) padding->AddTo(b, head, i, scores, keys);
    if (bias) bias->AddTo(b, head, i, scores, keys);
    if (causal && past + i + 1 < keys)
      std::fill(scores + past + i + 1, scores + keys, -std::numeric_limits<float>::infinity());
  };
  return OkStatus();
}

// ---- MultiHeadAttention

// Tensor `part` of the `parts` tensors packed in x [batch, length, heads, parts, width].
Heads ViewPacked(const Tensor& x, int64_t parts, int64_t part) {
  const int64_t length = x.dim(1), heads = x.dim(2), width = x.dim(4), step = parts * width;
  return {x.data<float>() + part * width, x.dim(0), heads,       length, width,
          length * heads * step,          step,     heads * step};
}

bool IsPacked(const Tensor& x, int64_t heads, int64_t parts) {
  return x.rank() == 5 && x.dim(2) == heads && x.dim(3) == parts;
}

Status ReadOperands(const OpContext& context, int64_t heads, AttentionSetup* setup) {
  const Tensor &query = *context.input(0), *key = context.input(1), *value = context.input(2);
  if (IsPacked(query, heads, 3) && !key && !value) {
    setup->q = ViewPacked(query, 3, 0);
    setup->k = ViewPacked(query, 3, 1);
    setup->v = ViewPacked(query, 3, 2);
    setup->k_input = setup->v_input = 0;
    return OkStatus();
  }
  if (query.rank() != 3 || !key)
    return ModelError(StrCat("query of shape ", ShapeString(query.shape()), " for ", heads,
                             " heads", key ? "" : " without a key"));
  ASSIGN_OR_RETURN(setup->q, ViewHeads(query, heads, "query"));
  if (IsPacked(*key, heads, 2) && !value) {
    setup->k = ViewPacked(*key, 2, 0);
    setup->v = ViewPacked(*key, 2, 1);
    setup->v_input = 1;
    return OkStatus();
  }
  if (!value || value->rank() != key->rank()) return ModelError("key and value do not fit");
  ASSIGN_OR_RETURN(setup->k, ViewHeads(*key, heads, "key"));
  ASSIGN_OR_RETURN(setup->v, ViewHeads(*value, heads, "value"));
  setup->bias_on_keys = key->rank() == 3;  // keys from a cache include it
  return OkStatus();
}

}  // namespace

// Inputs: query, key, value, bias, key_padding_mask, attention_bias, past_key, past_value.
Status SetUpMultiHeadAttention(OpContext& context, AttentionSetup* setup) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2, 3, 5, 6, 7}));
  if (context.input(8) || context.input(9))
    return ModelError("MultiHeadAttention with a shared cache buffer is not supported");
  if ((context.input(6) == nullptr) != (context.input(7) == nullptr))
    return ModelError("past_key and past_value must be given together");
  RETURN_IF_ERROR(ReadOperands(context, context.node().Int("num_heads", 0), setup));
  const Heads &q = setup->q, &k = setup->k, &v = setup->v;
  const int64_t q_width = q.heads * q.width, v_width = v.heads * v.width;
  const Tensor* bias = context.input(3);
  if (bias && bias->shape() != Shape{2 * q_width + v_width})
    return ModelError(StrCat("bias of shape ", ShapeString(bias->shape()), " for widths ", q_width,
                             " and ", v_width));
  if (bias) setup->bias_input = 3;
  const float* add = bias ? bias->data<float>() : nullptr;
  const float* add_k = add && setup->bias_on_keys ? add + q_width : nullptr;
  AttentionCall& call = setup->call;
  call.q = q;
  call.k = k;
  call.v = v;
  RETURN_IF_ERROR(CheckHeads(call));
  call.q = AddBias(q, add, setup->NewStore());
  const Heads biased_k = AddBias(k, add_k, setup->NewStore());
  const Heads biased_v = AddBias(v, add_k ? add_k + q_width : nullptr, setup->NewStore());
  ASSIGN_OR_RETURN(call.k, JoinCache(context, 1, context.input(6), biased_k, setup->NewStore()));
  ASSIGN_OR_RETURN(call.v, JoinCache(context, 2, context.input(7), biased_v, setup->NewStore()));
  RETURN_IF_ERROR(CheckHeads(call));
  call.scale = AttentionScale(context.node(), call.q.width);
  setup->past.assign(static_cast<size_t>(q.batch), call.k.length - k.length);
  return SetMask(context, {4, 5}, call.k.length - k.length, &call);
}

namespace {

Status MultiHeadAttention(OpContext& context) {
  AttentionSetup setup;
  RETURN_IF_ERROR(SetUpMultiHeadAttention(context, &setup));
  AttentionCall& call = setup.call;
  RETURN_IF_ERROR(PrepareOutput(context, false, &call));
  if (context.wants(3)) {
    ASSIGN_OR_RETURN(Tensor * scores,
                     NewOutput(context, 3, DType::kFloat,
                               {call.q.batch, call.q.heads, call.q.length, call.k.length}));
    call.scores = scores->mutable_data<float>();
    call.stage = AttentionCall::kProduct;
  }
  Attend(call);
  return OkStatus();
}

// ---- Attention: q, k and v are columns of input * weights + bias

struct Projection {
  Tensor values;  // [batch, length, q width + k width + v width]
  int64_t widths[3] = {0, 0, 0};

  Heads Part(int64_t part, int64_t heads) const {
    const int64_t length = values.dim(1), row = values.dim(2), width = widths[part] / heads;
    const int64_t start = part == 0 ? 0 : part == 1 ? widths[0] : widths[0] + widths[1];
    return {values.data<float>() + start,
            values.dim(0),
            heads,
            length,
            width,
            length * row,
            width,
            row};
  }
};

// Splits `columns` into those of q, k and v.
Result<Projection> CutColumns(const graph::Node& node, int64_t columns, int64_t heads) {
  const std::vector<int64_t> widths =
      node.Ints("qkv_hidden_sizes", {columns / 3, columns / 3, columns / 3});
  Projection result;
  bool fits = heads >= 1 && widths.size() == 3 && widths[0] == widths[1];
  int64_t rest = columns;
  for (size_t i = 0; fits && i < 3; ++i) {
    fits = widths[i] >= 0 && widths[i] <= rest && widths[i] % heads == 0;
    rest -= fits ? widths[i] : 0;
    result.widths[i] = widths[i];
  }
  if (fits && rest == 0) return result;
  return ModelError(
      StrCat(columns, " columns do not fit ", heads, " heads of sizes [", Join(widths), "]"));
}

// The same for the columns of the weights, input 1.
Result<Projection> CutWeights(const OpContext& context, int64_t heads) {
  const Tensor &x = *context.input(0), &w = *context.input(1), *bias = context.input(2);
  if (x.rank() != 3 || w.rank() != 2 || (bias && bias->shape() != Shape{w.dim(1)}))
    return ModelError(StrCat("input ", ShapeString(x.shape()), ", weights ", ShapeString(w.shape()),
                             " and their bias do not fit"));
  return CutColumns(context.node(), w.dim(1), heads);
}

Result<Projection> Project(const OpContext& context, int64_t heads) {
  const Tensor &x = *context.input(0), &w = *context.input(1), *bias = context.input(2);
  ASSIGN_OR_RETURN(Projection result, CutWeights(context, heads));
  const int64_t columns = w.dim(1);
  ASSIGN_OR_RETURN(const BatchedProduct product, ResolveProduct(x.shape(), w.shape()));
  result.values = Tensor::Empty(DType::kFloat, product.shape);
  float* to = result.values.mutable_data<float>();
  MultiplyBatches(product, x.data<float>(), w.data<float>(), to);
  for (int64_t i = 0; bias && i < result.values.size(); ++i)
    to[i] += bias->data<float>()[i % columns];
  return result;
}

// past and present hold the keys, then the values: [2, batch, heads, length, width].
Status JoinPast(OpContext& context, const Tensor* past, AttentionCall* call, Tensor* present) {
  if (!past && !context.wants(1)) return OkStatus();
  const Heads &k = call->k, &v = call->v;
  if (k.width != v.width) return ModelError("a past needs keys and values of one width");
  const int64_t before = past && past->rank() == 5 ? past->dim(3) : 0;
  if (past && past->shape() != Shape{2, k.batch, k.heads, before, k.width})
    return ModelError(StrCat("past of shape ", ShapeString(past->shape()), " for ", k.heads,
                             " heads of ", k.width));
  const Shape shape = {2, k.batch, k.heads, before + k.length, k.width};
  RETURN_IF_ERROR(CheckSize(DType::kFloat, shape));
  *present = Tensor::Empty(DType::kFloat, shape);
  float* to = present->mutable_data<float>();
  const int64_t lines = k.batch * k.heads, block = before * k.width;
  for (int64_t line = 0; line < 2 * lines; ++line) {
    const Heads& fresh = line < lines ? k : v;
    if (past) to = std::copy_n(past->data<float>() + line * block, block, to);
    for (int64_t i = 0; i < fresh.length; ++i)
      to = std::copy_n(fresh.Row(line % lines / k.heads, line % k.heads, i), k.width, to);
  }
  const int64_t half = present->size() / 2, row = shape[3] * k.width;
  call->k = {present->data<float>(), k.batch, k.heads, shape[3], k.width,
             k.heads * row,          row,     k.width};
  call->v = call->k;
  call->v.data += half;
  if (context.wants(1)) context.SetOutput(1, *present);
  return OkStatus();
}

// `past`: index of the optional past input.
Status SetUpProjected(OpContext& context, const Projection& projected, int64_t heads,
                      MaskInputs masks, size_t past, AttentionSetup* setup) {
  AttentionCall& call = setup->call;
  setup->q = call.q = projected.Part(0, heads);
  setup->k = call.k = projected.Part(1, heads);
  setup->v = call.v = projected.Part(2, heads);
  setup->k_input = setup->v_input = 0;
  RETURN_IF_ERROR(JoinPast(context, context.input(past), &call, setup->NewStore()));
  RETURN_IF_ERROR(CheckHeads(call));
  call.scale = AttentionScale(context.node(), call.q.width);
  const int64_t before = call.k.length - call.q.length;
  setup->past.assign(static_cast<size_t>(call.q.batch), before);
  return SetMask(context, masks, before, &call);
}

Status AttendProjected(OpContext& context, const Projection& projected, int64_t heads,
                       MaskInputs masks, size_t past) {
  AttentionSetup setup;
  RETURN_IF_ERROR(SetUpProjected(context, projected, heads, masks, past, &setup));
  RETURN_IF_ERROR(PrepareOutput(context, false, &setup.call));
  Attend(setup.call);
  return OkStatus();
}

// Inputs: x, weights, bias, mask_index, past, attention_bias.
Status ContribAttention(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2, 4, 5}));
  const graph::Node& node = context.node();
  if (node.Int("do_rotary", 0) != 0 || node.Int("past_present_share_buffer", 0) != 0)
    return ModelError("Attention with do_rotary or a shared cache buffer is not supported");
  const int64_t heads = node.Int("num_heads", 0);
  ASSIGN_OR_RETURN(const Projection projected, Project(context, heads));
  return AttendProjected(context, projected, heads, {3, 5}, 4);
}

// Inputs: codes of x and of weights, bias, scales of x and of weights, mask_index, zero points of x
// and of weights, past.
Status QAttention(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 5));
  RETURN_IF_ERROR(RequireFloat(context, {2, 3, 4, 8}));
  if (context.node().Int("do_rotary", 0) != 0 ||
      context.node().Int("past_present_share_buffer", 0) != 0)
    return ModelError("QAttention with do_rotary or a shared cache buffer is not supported");
  const int64_t heads = context.node().Int("num_heads", 0);
  ASSIGN_OR_RETURN(Projection projected, CutWeights(context, heads));
  ASSIGN_OR_RETURN(const float x_scale, FloatScalar(context, 3));
  ASSIGN_OR_RETURN(const ExactProduct product, MultiplyCodes(context, 0, 6, 1, 7));
  ASSIGN_OR_RETURN(projected.values, ScaledSums(product, x_scale, *context.input(4),
                                                context.input(2), context.input(1)->dim(1)));
  constexpr size_t kNone = 9;  // index of an absent input: beyond the last one
  return AttendProjected(context, projected, heads, {5, kNone}, 8);
}

}  // namespace

Status SetUpProjectedAttention(OpContext& context, AttentionSetup* setup) {
  RETURN_IF_ERROR(RequireRank(context, 0, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 2, 3}));
  const int64_t heads = context.node().Int("num_heads", 0);
  const Tensor& values = *context.input(0);
  if (values.rank() != 3) return ModelError("projected values have 3 dimensions");
  ASSIGN_OR_RETURN(Projection projected, CutColumns(context.node(), values.dim(2), heads));
  projected.values = values;
  return SetUpProjected(context, projected, heads, {1, 3}, 2, setup);
}

std::vector<OpEntry> ContribAttentionRows() {
  return {
      {"Attention", "com.microsoft", 1, kLatest, &ViaFloat<&ContribAttention>},
      {"MultiHeadAttention", "com.microsoft", 1, kLatest, &ViaFloat<&MultiHeadAttention>},
      {"QAttention", "com.microsoft", 1, kLatest, &QAttention},
  };
}

}  // namespace roundel::engine
