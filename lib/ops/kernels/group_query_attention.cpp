// GroupQueryAttention of com.microsoft: fewer heads of keys and values than of queries, a cache of
// fixed size, optional rotary embedding, and lengths per sample.

#include <algorithm>
#include <limits>
#include <optional>

#include "lib/ops/kernels/attention_core.h"
#include "lib/ops/kernels/attention_mask.h"
#include "lib/ops/kernels/attention_setup.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/rotary.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

enum Input {
  kQuery,
  kKey,
  kValue,
  kPastKey,
  kPastValue,
  kLengths,
  kTotal,
  kCos,
  kSin,
  kPositions,
  kBias,
  kSinks
};

struct Spec {
  int64_t heads = 0, kv_heads = 0, length = 0, batch = 0;
  Heads q, k, v;
  std::vector<int64_t> total, past;  // keys of each sample, and how many of them are from the past
  int64_t capacity = 0;              // rows of the present caches
};

Status CheckSupported(const OpContext& context) {
  const graph::Node& node = context.node();
  for (const char* name : {"k_quant_type", "v_quant_type"})
    if (node.String(name, "NONE") != "NONE")
      return ModelError("GroupQueryAttention with a quantized cache is not supported");
  if (node.Int("sliding_window_cache", 0) != 0 || node.Int("causal", 1) == 0)
    return ModelError("GroupQueryAttention with a window as cache or without causality");
  for (size_t i = 12; i < context.input_count(); ++i)
    if (context.input(i)) return ModelError(StrCat("input ", i, " is not supported"));
  if ((context.input(kPastKey) == nullptr) != (context.input(kPastValue) == nullptr))
    return ModelError("past_key and past_value must be given together");
  return OkStatus();
}

// Splits queries, keys and values that are packed in one tensor.
Status SplitPacked(const Tensor& x, Spec* spec) {
  const int64_t all = spec->heads + 2 * spec->kv_heads;
  ASSIGN_OR_RETURN(Heads whole, ViewHeads(x, all, "packed query"));
  const int64_t width = whole.width;
  whole.heads = spec->heads;
  spec->q = whole;
  whole.heads = spec->kv_heads;
  whole.data += spec->heads * width;
  spec->k = whole;
  whole.data += spec->kv_heads * width;
  spec->v = whole;
  return OkStatus();
}

Status ReadHeads(const OpContext& context, Spec* spec) {
  constexpr int64_t kMaxHeads = 1 << 20;
  spec->heads = context.node().Int("num_heads", 0);
  spec->kv_heads = context.node().Int("kv_num_heads", 0);
  if (spec->heads < 1 || spec->heads > kMaxHeads || spec->kv_heads < 1 ||
      spec->kv_heads > kMaxHeads || context.input(kQuery)->rank() != 3)
    return ModelError(StrCat("query of shape ", ShapeString(context.input(kQuery)->shape()),
                             " with ", spec->heads, " and ", spec->kv_heads, " heads"));
  if (!context.input(kKey) && !context.input(kValue)) {
    RETURN_IF_ERROR(SplitPacked(*context.input(kQuery), spec));
  } else {
    if (!context.input(kKey) || !context.input(kValue) || context.input(kKey)->rank() != 3 ||
        context.input(kValue)->rank() != 3)
      return ModelError("key and value must be given together and have 3 dimensions");
    ASSIGN_OR_RETURN(spec->q, ViewHeads(*context.input(kQuery), spec->heads, "query"));
    ASSIGN_OR_RETURN(spec->k, ViewHeads(*context.input(kKey), spec->kv_heads, "key"));
    ASSIGN_OR_RETURN(spec->v, ViewHeads(*context.input(kValue), spec->kv_heads, "value"));
  }
  spec->batch = spec->q.batch;
  spec->length = spec->q.length;
  if (spec->k.length == spec->length) return OkStatus();
  return ModelError(StrCat("keys of length ", spec->k.length, " for ", spec->length, " queries"));
}

// A prompt starts at position 0; otherwise the new rows are the last ones of each sample.
Status ReadLengths(const OpContext& context, Spec* spec) {
  ASSIGN_OR_RETURN(spec->total, IntegerInput(context, kLengths));
  ASSIGN_OR_RETURN(const int64_t longest, IntegerScalar(context, kTotal));
  const Tensor* past = context.input(kPastKey);
  if (past && past->rank() != 4)
    return ModelError(StrCat("past_key of shape ", ShapeString(past->shape())));
  if (longest < 0 || longest > kMaxTensorBytes)
    return ModelError(StrCat("total_sequence_length ", longest));
  spec->capacity = std::max(longest, past ? past->dim(2) : 0);
  const bool prompt = longest == spec->length;
  bool fits = static_cast<int64_t>(spec->total.size()) == spec->batch && longest >= spec->length;
  for (size_t b = 0; fits && b < spec->total.size(); ++b) {
    fits = spec->total[b] >= 0 && spec->total[b] < longest;
    if (!fits) break;
    ++spec->total[b];
    spec->past.push_back(prompt ? 0 : spec->total[b] - spec->length);
    fits = spec->past[b] >= 0 && (spec->past[b] == 0 || (past && spec->past[b] <= past->dim(2)));
  }
  if (fits) return OkStatus();
  return ModelError(StrCat("seqlens_k ", ShapeString(context.input(kLengths)->shape()),
                           " and total_sequence_length ", longest, " do not fit ", spec->batch,
                           " x ", spec->length, " queries and their past"));
}

// ---- rotary embedding

// The row of the angle tables of every token.
Result<std::vector<int64_t>> Positions(const OpContext& context, const Spec& spec, int64_t rows) {
  std::vector<int64_t> at;
  if (context.input(kPositions)) {
    ASSIGN_OR_RETURN(at, IntegerInput(context, kPositions));
    if (static_cast<int64_t>(at.size()) != spec.batch * spec.length)
      return ModelError(StrCat(at.size(), " position_ids for ", spec.batch, " x ", spec.length));
  } else {
    for (int64_t b = 0; b < spec.batch; ++b)
      for (int64_t i = 0; i < spec.length; ++i) at.push_back(spec.past[b] + i);
  }
  for (int64_t row : at)
    if (row < 0 || row >= rows)
      return ModelError(StrCat("position ", row, " of an angle table of ", rows, " rows"));
  return at;
}

Heads Rotated(const Heads& x, const Rotation& rotation, const float* cos, const float* sin,
              const std::vector<int64_t>& rows, Tensor* store) {
  *store = Tensor::Empty(DType::kFloat, {x.batch, x.heads, x.length, x.width});
  float* to = store->mutable_data<float>();
  const int64_t half = rotation.width / 2;
  for (int64_t line = 0; line < x.batch * x.heads; ++line) {
    const int64_t b = line / x.heads;
    for (int64_t i = 0; i < x.length; ++i, to += x.width) {
      const int64_t at = rows[b * x.length + i] * half;
      RotateRow(rotation, cos + at, sin + at, x.width, x.Row(b, line % x.heads, i), to);
    }
  }
  return ViewWhole(*store);
}

Status Rotate(const OpContext& context, Spec* spec, AttentionSetup* setup) {
  const Tensor *cos = context.input(kCos), *sin = context.input(kSin);
  if (!cos || !sin || cos->rank() != 2 || cos->shape() != sin->shape() ||
      cos->dim(1) > spec->q.width / 2 || spec->q.width != spec->k.width)
    return ModelError("do_rotary without tables cos_cache and sin_cache that fit");
  ASSIGN_OR_RETURN(setup->angles, Positions(context, *spec, cos->dim(0)));
  setup->rotation = {2 * cos->dim(1), context.node().Int("rotary_interleaved", 0) != 0};
  setup->cos = cos->data<float>();
  setup->sin = sin->data<float>();
  for (Heads* x : {&spec->q, &spec->k})
    *x = Rotated(*x, setup->rotation, setup->cos, setup->sin, setup->angles, setup->NewStore());
  return OkStatus();
}

// ---- caches

// [batch, kv heads, capacity, width]: the past, with the new rows appended to those of each sample.
Result<Heads> UpdateCache(OpContext& context, const Spec& spec, size_t input, size_t output,
                          const Heads& fresh, Tensor* store) {
  const Tensor* past = context.input(input);
  const int64_t capacity = spec.capacity, width = fresh.width;
  if (past && (past->rank() != 4 ||
               past->shape() != Shape{spec.batch, spec.kv_heads, past->dim(2), width} ||
               past->dim(2) > capacity))
    return ModelError(StrCat("past of shape ", ShapeString(past->shape()), " for ", spec.kv_heads,
                             " heads of ", width));
  const Shape shape = {spec.batch, spec.kv_heads, capacity, width};
  RETURN_IF_ERROR(CheckSize(DType::kFloat, shape));
  *store = Tensor::Zeros(DType::kFloat, shape);
  float* to = store->mutable_data<float>();
  for (int64_t line = 0; line < spec.batch * spec.kv_heads; ++line, to += capacity * width) {
    const int64_t b = line / spec.kv_heads, old = spec.past[b];
    const int64_t kept = past ? past->dim(2) * width : 0;
    if (past) std::copy_n(past->data<float>() + line * kept, kept, to);
    for (int64_t i = 0; i < spec.length && old + i < capacity; ++i)
      std::copy_n(fresh.Row(b, line % spec.kv_heads, i), width, to + (old + i) * width);
  }
  if (context.wants(output)) context.SetOutput(output, *store);
  return ViewWhole(*store);
}

// ---- scores

Status SetMask(const OpContext& context, const Spec& spec, AttentionCall* call) {
  std::optional<ScoreBias> bias;
  if (const Tensor* values = context.input(kBias)) {
    ASSIGN_OR_RETURN(bias, ReadBias(*values, call->q, call->k.length));
  }
  const int64_t keys = call->k.length;
  const int64_t window = context.node().Int("local_window_size", -1);
  call->mask = [bias, past = spec.past, ends = spec.total, keys, window](int64_t b, int64_t head,
                                                                         int64_t i, float* scores) {
    constexpr float kLeftOut = -std::numeric_limits<float>::infinity();
    if (bias) bias->AddTo(b, head, i, scores, keys);
    const int64_t position = past[b] + i;
    const int64_t end = std::min({position + 1, ends[b], keys});
    int64_t begin = 0;
    if (window > 0 && window <= position) begin = std::min(position - window + 1, end);
    std::fill(scores, scores + begin, kLeftOut);
    std::fill(scores + end, scores + keys, kLeftOut);
  };
  return OkStatus();
}

// head_sink, or zeros for smooth_softmax.
Status SetSinks(const OpContext& context, const Spec& spec, Tensor* zeros, AttentionCall* call) {
  const Tensor* sinks = context.input(kSinks);
  if (sinks && sinks->shape() != Shape{spec.heads})
    return ModelError(StrCat("head_sink of shape ", ShapeString(sinks->shape())));
  if (sinks) call->sinks = sinks->data<float>();
  if (sinks || context.node().Int("smooth_softmax", 0) != 1) return OkStatus();
  *zeros = Tensor::Zeros(DType::kFloat, {spec.heads});
  call->sinks = zeros->data<float>();
  return OkStatus();
}

Status KeepScores(OpContext& context, AttentionCall* call) {
  const int64_t stage = context.node().Int("qk_output", 0);
  if (stage == 0 || !context.wants(3)) return OkStatus();
  ASSIGN_OR_RETURN(Tensor * scores,
                   NewOutput(context, 3, DType::kFloat,
                             {call->q.batch, call->q.heads, call->q.length, call->k.length}));
  call->scores = scores->mutable_data<float>();
  call->stage = stage == 1 ? AttentionCall::kMasked : AttentionCall::kSoftmax;
  return OkStatus();
}

}  // namespace

Status SetUpGroupQueryAttention(OpContext& context, AttentionSetup* setup) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  RETURN_IF_ERROR(RequireFloat(
      context, {kQuery, kKey, kValue, kPastKey, kPastValue, kCos, kSin, kBias, kSinks}));
  RETURN_IF_ERROR(CheckSupported(context));
  Spec spec;
  RETURN_IF_ERROR(ReadHeads(context, &spec));
  AttentionCall& call = setup->call;
  setup->q = call.q = spec.q;
  setup->k = call.k = spec.k;
  setup->v = call.v = spec.v;
  if (!context.input(kKey)) setup->k_input = setup->v_input = kQuery;
  RETURN_IF_ERROR(CheckHeads(call));
  RETURN_IF_ERROR(ReadLengths(context, &spec));
  setup->past = spec.past;
  if (context.node().Int("do_rotary", 0) != 0) RETURN_IF_ERROR(Rotate(context, &spec, setup));
  call.q = spec.q;
  ASSIGN_OR_RETURN(call.k, UpdateCache(context, spec, kPastKey, 1, spec.k, setup->NewStore()));
  ASSIGN_OR_RETURN(call.v, UpdateCache(context, spec, kPastValue, 2, spec.v, setup->NewStore()));
  call.scale = AttentionScale(context.node(), call.q.width);
  call.softcap = context.node().Float("softcap", 0);
  RETURN_IF_ERROR(SetMask(context, spec, &call));
  return SetSinks(context, spec, setup->NewStore(), &call);
}

namespace {

Status GroupQueryAttention(OpContext& context) {
  AttentionSetup setup;
  RETURN_IF_ERROR(SetUpGroupQueryAttention(context, &setup));
  AttentionCall& call = setup.call;
  RETURN_IF_ERROR(PrepareOutput(context, false, &call));
  RETURN_IF_ERROR(KeepScores(context, &call));
  Attend(call);
  // ONNX Runtime writes 0 for masked keys.
  if (call.scores && call.stage == AttentionCall::kMasked)
    std::replace(call.scores,
                 call.scores + call.q.batch * call.q.heads * call.q.length * call.k.length,
                 -std::numeric_limits<float>::infinity(), 0.0f);
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> GroupQueryAttentionRows() {
  return {
      {"GroupQueryAttention", "com.microsoft", 1, kLatest, &ViaFloat<&GroupQueryAttention>},
  };
}

}  // namespace roundel::engine
