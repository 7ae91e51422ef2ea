// Gradients of the attention operators with respect to queries, keys and values. Each is set up as its
// forward kernel is (attention_setup.h); the probabilities p are computed again. For a query row with
// the gradient d of its result:
//
//   dp[j] = d . v[j]    ds = p (dp - sum of p dp), times 1 - (s / softcap)^2 if capped
//   dq = scale * sum of ds[j] k[j]    dk[j] += scale * ds[j] q    dv[j] += p[j] d
//
// AttentionGrad, GroupQueryAttentionGrad, MultiHeadAttentionGrad, ProjectedAttentionGrad(dY, the forward
// inputs...) -> the gradients of the first inputs, and of the bias of MultiHeadAttention as output 3.
#pragma GCC optimize("O3")

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/ops/kernels/attention_setup.h"
#include "lib/ops/kernels/gradient.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/sums.h"

namespace roundel::engine {
namespace {

// One head of keys and values of one sample, with the heads of queries that share it.
class HeadGradient {
 public:
  HeadGradient(const AttentionCall& call, const Heads& dy)
      : call_(call),
        dy_(dy),
        keys_(call.k.length),
        scores_(static_cast<size_t>(keys_)),
        capped_(scores_.size()),
        slopes_(scores_.size()),
        dk_(static_cast<size_t>(keys_ * call.k.width)),
        dv_(static_cast<size_t>(keys_ * call.v.width)),
        dq_(static_cast<size_t>(call.q.width)) {}

  void Run(int64_t b, int64_t kv_head, float* dq, float* dk, float* dv) {
    std::fill(dk_.begin(), dk_.end(), 0.0);
    std::fill(dv_.begin(), dv_.end(), 0.0);
    const int64_t share = call_.q.heads / call_.k.heads, rows = call_.q.length;
    for (int64_t head = kv_head * share; head < (kv_head + 1) * share; ++head)
      for (int64_t i = 0; i < rows; ++i) {
        Probabilities(b, head, i);
        Slopes(b, head, i);
        Spread(b, head, i);
        float* to = dq + ((b * call_.q.heads + head) * rows + i) * call_.q.width;
        for (int64_t c = 0; c < call_.q.width; ++c) to[c] = static_cast<float>(dq_[c]);
      }
    const int64_t line = b * call_.k.heads + kv_head;
    for (size_t n = 0; n < dk_.size(); ++n)
      dk[line * static_cast<int64_t>(dk_.size()) + static_cast<int64_t>(n)] =
          static_cast<float>(dk_[n]);
    for (size_t n = 0; n < dv_.size(); ++n)
      dv[line * static_cast<int64_t>(dv_.size()) + static_cast<int64_t>(n)] =
          static_cast<float>(dv_[n]);
  }

 private:
  int64_t KvHead(int64_t head) const { return head / (call_.q.heads / call_.k.heads); }

  // scores_: p; capped_: tanh of the scores, if they are capped.
  void Probabilities(int64_t b, int64_t head, int64_t i) {
    constexpr float kNone = -std::numeric_limits<float>::infinity();
    const float *q = call_.q.Row(b, head, i), *sink = call_.sinks ? call_.sinks + head : nullptr;
    for (int64_t j = 0; j < keys_; ++j) {
      const double dot = DotOf(q, call_.k.Row(b, KvHead(head), j), call_.q.width);
      scores_[j] = static_cast<float>(static_cast<double>(call_.scale) * dot);
      if (call_.softcap <= 0) continue;
      capped_[j] = std::tanh(scores_[j] / call_.softcap);
      scores_[j] = call_.softcap * capped_[j];
    }
    if (call_.mask) call_.mask(b, head, i, scores_.data());
    float largest = sink ? *sink : kNone;
    for (float score : scores_) largest = std::max(largest, score);
    double sum = sink ? std::exp(static_cast<double>(*sink - largest)) : 0.0;
    for (float& score : scores_) {
      score = largest == kNone ? 0.0f : std::exp(score - largest);
      sum += static_cast<double>(score);
    }
    for (float& score : scores_)
      score = sum > 0 ? static_cast<float>(static_cast<double>(score) / sum) : 0.0f;
  }

  // slopes_: the gradients of the scores before the cap, times the scale.
  void Slopes(int64_t b, int64_t head, int64_t i) {
    const float* d = dy_.Row(b, head, i);
    double mean = 0;
    for (int64_t j = 0; j < keys_; ++j) {
      slopes_[j] = 0;
      if (scores_[j] == 0) continue;  // masked values may be NaN or infinite
      slopes_[j] = DotOf(d, call_.v.Row(b, KvHead(head), j), call_.v.width);
      mean += static_cast<double>(scores_[j]) * slopes_[j];
    }
    for (int64_t j = 0; j < keys_; ++j) {
      slopes_[j] = scores_[j] * (slopes_[j] - mean) * static_cast<double>(call_.scale);
      if (call_.softcap > 0) slopes_[j] *= 1 - static_cast<double>(capped_[j]) * capped_[j];
    }
  }

  void Spread(int64_t b, int64_t head, int64_t i) {
    const float *q = call_.q.Row(b, head, i), *d = dy_.Row(b, head, i);
    std::fill(dq_.begin(), dq_.end(), 0.0);
    for (int64_t j = 0; j < keys_; ++j) {
      if (scores_[j] == 0) continue;
      const float* k = call_.k.Row(b, KvHead(head), j);
      const double slope = slopes_[j], p = scores_[j];
      double *dk = dk_.data() + j * call_.k.width, *dv = dv_.data() + j * call_.v.width;
      for (int64_t c = 0; c < call_.q.width; ++c) {
        dq_[c] += slope * static_cast<double>(k[c]);
        dk[c] += slope * static_cast<double>(q[c]);
      }
      for (int64_t c = 0; c < call_.v.width; ++c) dv[c] += p * static_cast<double>(d[c]);
    }
  }

  const AttentionCall& call_;
  const Heads& dy_;
  const int64_t keys_;
  std::vector<float> scores_, capped_;
  std::vector<double> slopes_, dk_, dv_, dq_;
};

// [batch, heads, length, width] each, of the call's operands.
struct OperandGradients {
  Tensor q, k, v;
};

OperandGradients Gradients(const AttentionCall& call, const Heads& dy) {
  const auto zeros = [](const Heads& x) {
    return Tensor::Zeros(DType::kFloat, {x.batch, x.heads, x.length, x.width});
  };
  OperandGradients g{zeros(call.q), zeros(call.k), zeros(call.v)};
  float *dq = g.q.mutable_data<float>(), *dk = g.k.mutable_data<float>();
  float* dv = g.v.mutable_data<float>();
  ParallelFor(call.k.batch * call.k.heads, 1, [&](int64_t begin, int64_t end) {
    HeadGradient head(call, dy);
    for (int64_t unit = begin; unit < end; ++unit)
      head.Run(unit / call.k.heads, unit % call.k.heads, dq, dk, dv);
  });
  return g;
}

// ---- from the operands back to the inputs

class InputGradients {
 public:
  InputGradients(const AttentionSetup& setup, const std::vector<Tensor>& inputs)
      : setup_(setup), inputs_(inputs), gradients_(4) {
    for (const size_t i : {setup.q_input, setup.k_input, setup.v_input, setup.bias_input})
      if (i < gradients_.size()) gradients_[i] = Tensor::Zeros(DType::kFloat, inputs[i].shape());
  }

  // Rows of `x`, a view of input `input`, from the gradient `d` of the operand, where they start at row
  // `first(b)`. `column`: of the bias, or negative.
  template <typename First>
  void Add(const Heads& x, size_t input, const Tensor& d, bool rotated, int64_t column,
           const First& first) {
    const Heads from = ViewWhole(d);
    float* to = gradients_[input].mutable_data<float>();
    const float* base = inputs_[input].data<float>();
    std::vector<float> row(static_cast<size_t>(x.width));
    for (int64_t line = 0; line < x.batch * x.heads; ++line) {
      const int64_t b = line / x.heads, head = line % x.heads;
      for (int64_t i = 0; i < x.length && first(b) + i < from.length; ++i) {
        const float* gradient = from.Row(b, head, first(b) + i);
        std::copy_n(gradient, x.width, row.begin());
        if (rotated && setup_.cos) RotateBack(b * x.length + i, gradient, row.data(), x.width);
        const int64_t at = x.Row(b, head, i) - base;
        for (int64_t c = 0; c < x.width; ++c) to[at + c] += row[c];
        if (column >= 0) AddBias(column + head * x.width, row);
      }
    }
  }

  Tensor& operator[](size_t i) { return gradients_[i]; }

 private:
  // The inverse rotation is that by the negative angle.
  void RotateBack(int64_t token, const float* from, float* to, int64_t width) const {
    const int64_t half = setup_.rotation.width / 2, at = setup_.angles[token] * half;
    std::vector<float> sin(setup_.sin + at, setup_.sin + at + half);
    for (float& s : sin) s = -s;
    RotateRow(setup_.rotation, setup_.cos + at, sin.data(), width, from, to);
  }

  void AddBias(int64_t column, const std::vector<float>& row) {
    float* to = gradients_[setup_.bias_input].mutable_data<float>() + column;
    for (size_t c = 0; c < row.size(); ++c) to[c] += row[c];
  }

  const AttentionSetup& setup_;
  const std::vector<Tensor>& inputs_;
  std::vector<Tensor> gradients_;
};

template <auto set_up>
Status AttentionGrad(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  std::vector<Tensor> inputs;
  for (size_t i = 1; i < context.input_count(); ++i) inputs.push_back(InputOrNone(context, i));
  InnerContext forward(context.node(), ForwardOpset(context.node()), inputs, 1);
  AttentionSetup setup;
  RETURN_IF_ERROR(set_up(forward, &setup));
  const AttentionCall& call = setup.call;
  ASSIGN_OR_RETURN(const Heads dy, ViewHeads(*context.input(0), call.q.heads, "dY"));
  if (dy.batch != call.q.batch || dy.length != call.q.length || dy.width != call.v.width ||
      dy.heads != call.q.heads)
    return ModelError(StrCat("dY of shape ", ShapeString(context.input(0)->shape()),
                             " does not fit the queries and values"));
  for (const Heads& x : {call.q, call.k, call.v})
    RETURN_IF_ERROR(CheckSize(DType::kDouble, {x.batch, x.heads, x.length, x.width}));
  const OperandGradients gradients = Gradients(call, dy);
  InputGradients result(setup, inputs);
  const bool bias = setup.bias_input != AttentionSetup::kNoBias;
  const int64_t q_columns = setup.q.heads * setup.q.width;
  const auto past = [&](int64_t b) { return setup.past[b]; };
  result.Add(setup.q, setup.q_input, gradients.q, true, bias ? 0 : -1,
             [](int64_t) { return int64_t{0}; });
  const bool key_bias = bias && setup.bias_on_keys;
  result.Add(setup.k, setup.k_input, gradients.k, true, key_bias ? q_columns : -1, past);
  result.Add(setup.v, setup.v_input, gradients.v, false, key_bias ? 2 * q_columns : -1, past);
  for (size_t i = 0; i < 4; ++i) {
    if (!context.wants(i)) continue;
    if (!result[i].defined()) return ModelError(StrCat("there is no gradient of input ", i));
    context.SetOutput(i, std::move(result[i]));
  }
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> GradientAttentionRows() {
  return {
      {"AttentionGrad", "roundel", 1, kLatest, &AttentionGrad<&SetUpAttention>},
      {"GroupQueryAttentionGrad", "roundel", 1, kLatest, &AttentionGrad<&SetUpGroupQueryAttention>},
      {"MultiHeadAttentionGrad", "roundel", 1, kLatest, &AttentionGrad<&SetUpMultiHeadAttention>},
      {"ProjectedAttentionGrad", "roundel", 1, kLatest, &AttentionGrad<&SetUpProjectedAttention>},
  };
}

}  // namespace roundel::engine
