// Attention (opset 23 to 25) and TensorScatter, which updates the caches that attention reads.

#include <algorithm>
#include <limits>
#include <optional>

#include "lib/ops/kernels/attention_core.h"
#include "lib/ops/kernels/attention_mask.h"
#include "lib/ops/kernels/attention_setup.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

constexpr float kLeftOut = -std::numeric_limits<float>::infinity();

// The keys that a query may see: those from `first` to `last` around its own position.
struct Visibility {
  bool causal = false;
  int64_t left = -1, right = -1;  // window; -1: unbounded
  std::vector<int64_t> valid;     // number of keys that are not padding, per batch; empty: all
  std::vector<int64_t> offset;    // position of the first query, per batch

  void Apply(int64_t b, int64_t i, float* scores, int64_t keys) const {
    const int64_t position = offset[b] + i;
    int64_t begin = 0, end = valid.empty() ? keys : std::clamp<int64_t>(valid[b], 0, keys);
    if (causal) end = std::min(end, position + 1);
    if (right >= 0) end = std::min(end, position + std::min(right, keys) + 1);
    if (left >= 0) begin = std::max<int64_t>(0, position - std::min(left, position + 1));
    begin = std::clamp<int64_t>(begin, 0, keys);
    end = std::clamp(end, begin, keys);
    std::fill(scores, scores + begin, kLeftOut);
    std::fill(scores + end, scores + keys, kLeftOut);
  }
};

Result<Visibility> ReadVisibility(const OpContext& context, const Heads& q, int64_t keys) {
  const graph::Node& node = context.node();
  Visibility seen{node.Int("is_causal", 0) != 0,
                  node.Int("left_window_size", -1),
                  node.Int("right_window_size", -1),
                  {},
                  {}};
  const Tensor* past = context.input(4);
  seen.offset.assign(static_cast<size_t>(q.batch), past ? past->dim(2) : 0);
  if (context.input(6) == nullptr) return seen;
  ASSIGN_OR_RETURN(seen.valid, IntegerInput(context, 6));
  if (static_cast<int64_t>(seen.valid.size()) != q.batch || past)
    return ModelError(StrCat("nonpad_kv_seqlen of ", seen.valid.size(), " values for a batch of ",
                             q.batch, past ? " and a past" : ""));
  for (size_t b = 0; b < seen.valid.size(); ++b) {
    if (seen.valid[b] < 0 || seen.valid[b] > keys)
      return ModelError(StrCat("nonpad_kv_seqlen ", seen.valid[b], " of ", keys, " keys"));
    seen.offset[b] = seen.valid[b] - q.length;
  }
  return seen;
}

Status ReadOperands(OpContext& context, AttentionSetup* setup) {
  const graph::Node& node = context.node();
  const int64_t kv_heads = node.Int("kv_num_heads", 0);
  for (size_t i = 1; i < 3; ++i)
    if (context.input(i)->rank() != context.input(0)->rank())
      return ModelError("queries, keys and values of different ranks");
  if ((context.input(4) == nullptr) != (context.input(5) == nullptr))
    return ModelError("past_key and past_value must be given together");
  ASSIGN_OR_RETURN(setup->q, ViewHeads(*context.input(0), node.Int("q_num_heads", 0), "Q"));
  ASSIGN_OR_RETURN(setup->k, ViewHeads(*context.input(1), kv_heads, "K"));
  ASSIGN_OR_RETURN(setup->v, ViewHeads(*context.input(2), kv_heads, "V"));
  AttentionCall& call = setup->call;
  call.q = setup->q;
  ASSIGN_OR_RETURN(call.k, JoinCache(context, 1, context.input(4), setup->k, setup->NewStore()));
  ASSIGN_OR_RETURN(call.v, JoinCache(context, 2, context.input(5), setup->v, setup->NewStore()));
  setup->past.assign(static_cast<size_t>(call.q.batch), call.k.length - setup->k.length);
  return CheckHeads(call);
}

Status KeepScores(OpContext& context, AttentionCall* call) {
  const int64_t mode = context.node().Int("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3) return ModelError(StrCat("qk_matmul_output_mode ", mode, " (0 to 3)"));
  if (!context.wants(3)) return OkStatus();
  ASSIGN_OR_RETURN(Tensor * scores,
                   NewOutput(context, 3, DType::kFloat,
                             {call->q.batch, call->q.heads, call->q.length, call->k.length}));
  call->scores = scores->mutable_data<float>();
  call->stage = static_cast<AttentionCall::Stage>(mode);
  return OkStatus();
}

}  // namespace

Status SetUpAttention(OpContext& context, AttentionSetup* setup) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2, 4, 5}));
  RETURN_IF_ERROR(ReadOperands(context, setup));
  AttentionCall& call = setup->call;
  const int64_t total = call.k.length;
  ASSIGN_OR_RETURN(const Visibility seen, ReadVisibility(context, call.q, total));
  std::optional<ScoreBias> bias;
  if (const Tensor* mask = context.input(3)) {
    ASSIGN_OR_RETURN(bias, ReadBias(*mask, call.q, total));
  }
  call.scale = AttentionScale(context.node(), call.q.width);
  call.softcap = context.node().Float("softcap", 0);
  call.mask = [=](int64_t b, int64_t head, int64_t i, float* scores) {
    if (bias) bias->AddTo(b, head, i, scores, total);
    seen.Apply(b, i, scores, total);
  };
  return OkStatus();
}

namespace {

Status Attention(OpContext& context) {
  AttentionSetup setup;
  RETURN_IF_ERROR(SetUpAttention(context, &setup));
  RETURN_IF_ERROR(PrepareOutput(context, context.input(0)->rank() == 4, &setup.call));
  RETURN_IF_ERROR(KeepScores(context, &setup.call));
  Attend(setup.call);
  return OkStatus();
}

// ---- TensorScatter: rows of `update` are written into a copy of the cache, per sample

// The cache row that receives the first row of sample b.
Result<std::vector<int64_t>> WritePositions(const OpContext& context, int64_t batch, int64_t length,
                                            int64_t capacity, bool circular) {
  std::vector<int64_t> places(static_cast<size_t>(batch), 0);
  if (context.input(2)) {
    ASSIGN_OR_RETURN(places, IntegerInput(context, 2));
  }
  if (static_cast<int64_t>(places.size()) != batch)
    return ModelError(StrCat(places.size(), " write_indices for a batch of ", batch));
  for (int64_t place : places)
    if (place < 0 || (!circular && place > capacity - length))
      return ModelError(
          StrCat("cannot write ", length, " rows at ", place, " into a cache of ", capacity));
  return places;
}

Status TensorScatter(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireRank(context, 0, 2));
  const Tensor &past = *context.input(0), &update = *context.input(1);
  const std::string mode = context.node().String("mode", "linear");
  if (mode != "linear" && mode != "circular")
    return ModelError(StrCat("TensorScatter has no mode '", mode, "'"));
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(context.node().Int("axis", -2), past.rank()));
  Shape same = update.shape();
  if (update.rank() == past.rank()) same[axis] = past.dim(axis);
  const int bits = BitWidth(past.dtype());
  if (axis == 0 || update.dtype() != past.dtype() || same != past.shape() || bits < 8 ||
      update.dim(axis) > past.dim(axis))
    return ModelError(StrCat("update ", DTypeName(update.dtype()), ShapeString(update.shape()),
                             " does not fit a cache ", DTypeName(past.dtype()),
                             ShapeString(past.shape()), " along axis ", axis));
  const int64_t length = update.dim(axis), capacity = past.dim(axis);
  ASSIGN_OR_RETURN(const std::vector<int64_t> places,
                   WritePositions(context, past.dim(0), length, capacity, mode == "circular"));
  Tensor present = past;
  if (update.size() > 0) {
    auto* to = static_cast<char*>(present.mutable_raw());
    const auto* from = static_cast<const char*>(update.raw());
    const int64_t row = Product(past.shape(), axis + 1, past.rank()) * (bits / 8);
    const int64_t lines = Product(past.shape(), 0, axis), per_sample = lines / past.dim(0);
    for (int64_t line = 0; line < lines; ++line)
      for (int64_t i = 0; i < length; ++i, from += row) {
        const int64_t at = (places[line / per_sample] % capacity + i) % capacity;
        std::copy_n(from, row, to + (line * capacity + at) * row);
      }
  }
  context.SetOutput(0, std::move(present));
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> AttentionRows() {
  return {
      {"Attention", "", 23, kLatest, &ViaFloat<&Attention>},
      {"TensorScatter", "", 24, kLatest, &TensorScatter},
  };
}

}  // namespace roundel::engine
