#pragma GCC optimize("O3")

#include "lib/ops/kernels/attention_core.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/ops/kernels/common.h"

namespace roundel::engine {
namespace {

// Dot product in eight double lanes, in a fixed order that vectorizes.
float Dot(const float* a, const float* b, int64_t n) {
  constexpr int64_t kVectorLanes = 8;
  double lanes[kVectorLanes] = {};
  int64_t i = 0;
  for (; i + kVectorLanes <= n; i += kVectorLanes)
    for (int64_t k = 0; k < kVectorLanes; ++k)
      lanes[k] += static_cast<double>(a[i + k]) * static_cast<double>(b[i + k]);
  double sum = 0;
  for (double lane : lanes) sum += lane;
  for (; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return static_cast<float>(sum);
}

// In place; all zero if every score is -infinity. `sink`: one more logit in the denominator.
void SoftmaxRow(float* scores, int64_t n, const float* sink) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  float largest = sink ? *sink : kNone;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, scores[i]);
  if (largest == kNone) {
    std::fill_n(scores, n, 0.0f);
    return;
  }
  double sum = sink ? std::exp(static_cast<double>(*sink - largest)) : 0.0;
  for (int64_t i = 0; i < n; ++i) {
    scores[i] = std::exp(scores[i] - largest);
    sum += static_cast<double>(scores[i]);
  }
  for (int64_t i = 0; i < n; ++i)
    scores[i] = static_cast<float>(static_cast<double>(scores[i]) / sum);
}

class RowAttention {
 public:
  explicit RowAttention(const AttentionCall& call)
      : call_(call),
        keys_(call.k.length),
        share_(call.q.heads / call.k.heads),
        scores_(static_cast<size_t>(keys_)),
        sums_(static_cast<size_t>(call.v.width)) {}

  void Run(int64_t b, int64_t head, int64_t i) {
    float* scores = scores_.data();
    const float* query = call_.q.Row(b, head, i);
    for (int64_t j = 0; j < keys_; ++j)
      scores[j] = call_.scale * Dot(query, call_.k.Row(b, head / share_, j), call_.q.width);
    Keep(AttentionCall::kProduct, b, head, i);
    if (call_.softcap > 0)
      for (int64_t j = 0; j < keys_; ++j)
        scores[j] = call_.softcap * std::tanh(scores[j] / call_.softcap);
    Keep(AttentionCall::kCapped, b, head, i);
    if (call_.mask) call_.mask(b, head, i, scores);
    Keep(AttentionCall::kMasked, b, head, i);
    SoftmaxRow(scores, keys_, call_.sinks ? call_.sinks + head : nullptr);
    Keep(AttentionCall::kSoftmax, b, head, i);
    WeighValues(b, head, i);
  }

 private:
  void Keep(AttentionCall::Stage stage, int64_t b, int64_t head, int64_t i) {
    if (call_.scores == nullptr || call_.stage != stage) return;
    const int64_t row = (b * call_.q.heads + head) * call_.q.length + i;
    std::copy(scores_.begin(), scores_.end(), call_.scores + row * keys_);
  }

  void WeighValues(int64_t b, int64_t head, int64_t i) {
    std::fill(sums_.begin(), sums_.end(), 0.0);
    for (int64_t j = 0; j < keys_; ++j) {
      if (scores_[j] == 0) continue;  // masked values may be NaN or infinite
      const auto weight = static_cast<double>(scores_[j]);
      const float* value = call_.v.Row(b, head / share_, j);
      for (int64_t c = 0; c < call_.v.width; ++c)
        sums_[c] += weight * static_cast<double>(value[c]);
    }
    float* to = call_.y + b * call_.y_batch_step + head * call_.y_head_step + i * call_.y_row_step;
    for (int64_t c = 0; c < call_.v.width; ++c) to[c] = static_cast<float>(sums_[c]);
  }

  const AttentionCall& call_;
  const int64_t keys_, share_;
  std::vector<float> scores_;
  std::vector<double> sums_;
};

}  // namespace

Heads ViewWhole(const Tensor& x) {
  const int64_t length = x.dim(2), width = x.dim(3);
  return {x.data<float>(),           x.dim(0),       x.dim(1), length, width,
          x.dim(1) * length * width, length * width, width};
}

Result<Heads> ViewHeads(const Tensor& x, int64_t heads, const char* what) {
  // An empty tensor may have huge dimensions besides the zero; their product as a number of rows
  // would overflow.
  Shape rows = x.shape();
  if (!rows.empty() && rows.back() == 0) rows.back() = 1;
  RETURN_IF_ERROR(CheckSize(DType::kFloat, rows));
  if (x.rank() == 4) return ViewWhole(x);
  if (x.rank() != 3 || heads < 1 || x.dim(2) % heads != 0)
    return ModelError(
        StrCat(what, " of shape ", ShapeString(x.shape()), " does not hold ", heads, " heads"));
  const int64_t width = x.dim(2) / heads;
  return Heads{x.data<float>(),     x.dim(0), heads,   x.dim(1), width,
               x.dim(1) * x.dim(2), width,    x.dim(2)};
}

Status CheckHeads(const AttentionCall& call) {
  const Heads &q = call.q, &k = call.k, &v = call.v;
  if (q.batch == k.batch && q.batch == v.batch && q.width == k.width && k.length == v.length &&
      k.heads == v.heads && k.heads > 0 && q.heads % k.heads == 0)
    return OkStatus();
  const auto text = [](const Heads& h) {
    return ShapeString({h.batch, h.heads, h.length, h.width});
  };
  return ModelError(StrCat("queries ", text(q), ", keys ", text(k), " and values ", text(v),
                           " (batch, heads, length, width) do not fit"));
}

void Attend(const AttentionCall& call) {
  const int64_t rows = call.q.length, heads = call.q.heads;
  if (rows == 0 || heads == 0) return;
  const int64_t work = call.k.length * std::max<int64_t>(1, call.q.width + call.v.width);
  ParallelFor(call.q.batch * heads * rows, RowGrain(work), [&](int64_t begin, int64_t end) {
    RowAttention row(call);
    for (int64_t unit = begin; unit < end; ++unit)
      row.Run(unit / rows / heads, unit / rows % heads, unit % rows);
  });
}

Status PrepareOutput(OpContext& context, bool four_dimensional, AttentionCall* call) {
  const Heads& q = call->q;
  const int64_t width = call->v.width;
  RETURN_IF_ERROR(CheckSize(DType::kFloat, {q.batch, q.heads, q.length, width}));
  const Shape shape = four_dimensional ? Shape{q.batch, q.heads, q.length, width}
                                       : Shape{q.batch, q.length, q.heads * width};
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, shape));
  call->y = y->mutable_data<float>();
  call->y_batch_step = q.heads * q.length * width;
  call->y_head_step = four_dimensional ? q.length * width : width;
  call->y_row_step = four_dimensional ? width : q.heads * width;
  return OkStatus();
}

Result<Heads> JoinCache(OpContext& context, size_t output, const Tensor* past, const Heads& fresh,
                        Tensor* joined) {
  if (past == nullptr && !context.wants(output)) return fresh;
  if (past && (past->rank() != 4 || past->dim(0) != fresh.batch || past->dim(1) != fresh.heads ||
               past->dim(3) != fresh.width))
    return ModelError(StrCat("past of shape ", ShapeString(past->shape()), " before [", fresh.batch,
                             ", ", fresh.heads, ", ", fresh.length, ", ", fresh.width, "]"));
  const int64_t before = past ? past->dim(2) : 0, total = before + fresh.length;
  const Shape shape = {fresh.batch, fresh.heads, total, fresh.width};
  RETURN_IF_ERROR(CheckSize(DType::kFloat, shape));
  Tensor* whole = joined;
  if (context.wants(output)) {
    ASSIGN_OR_RETURN(whole, NewOutput(context, output, DType::kFloat, shape));
  } else {
    *joined = Tensor::Empty(DType::kFloat, shape);
  }
  float* to = whole->mutable_data<float>();
  const int64_t block = before * fresh.width;
  for (int64_t line = 0; line < fresh.batch * fresh.heads; ++line) {
    if (past) to = std::copy_n(past->data<float>() + line * block, block, to);
    for (int64_t i = 0; i < fresh.length; ++i)
      to = std::copy_n(fresh.Row(line / fresh.heads, line % fresh.heads, i), fresh.width, to);
  }
  return ViewWhole(*whole);
}

float AttentionScale(const graph::Node& node, int64_t width) {
  const float scale = node.Float("scale", 0);
  return scale != 0 ? scale : static_cast<float>(1 / std::sqrt(static_cast<double>(width)));
}

}  // namespace roundel::engine
