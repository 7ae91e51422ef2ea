#pragma once
// What the attention operators derive from their inputs before the computation that all share, for the
// forward kernels and their gradients.

#include <deque>
#include <vector>

#include "lib/ops/kernels/attention_core.h"
#include "lib/ops/kernels/rotary.h"

namespace roundel::engine {

struct AttentionSetup {
  AttentionSetup() = default;
  AttentionSetup(const AttentionSetup&) = delete;
  AttentionSetup& operator=(const AttentionSetup&) = delete;

  AttentionCall call;  // without outputs
  // The rows of the operands, as views of inputs q_input, k_input and v_input. Those of the call have
  // the bias added, are rotated, and follow the past.
  Heads q, k, v;
  size_t q_input = 0, k_input = 1, v_input = 2;
  // Input of a bias with the columns of q, k and v, of which the latter two may be unused.
  static constexpr size_t kNoBias = 99;
  size_t bias_input = kNoBias;
  bool bias_on_keys = true;
  std::vector<int64_t> past;  // keys of the call before the first row of k, per batch
  // Tables of angles, and their row for each token; nullptr: not rotated.
  Rotation rotation;
  const float *cos = nullptr, *sin = nullptr;
  std::vector<int64_t> angles;
  std::deque<Tensor> stores;  // operands that are no views of inputs

  Tensor* NewStore() { return &stores.emplace_back(); }
};

// Operators of com.microsoft and of ONNX. Errors: kModel.
Status SetUpAttention(OpContext& context, AttentionSetup* setup);
Status SetUpGroupQueryAttention(OpContext& context, AttentionSetup* setup);
Status SetUpMultiHeadAttention(OpContext& context, AttentionSetup* setup);
// com.microsoft.Attention behind its projection: inputs are the projected values [batch, length, columns
// of q, k and v], mask_index, past, attention_bias.
Status SetUpProjectedAttention(OpContext& context, AttentionSetup* setup);

}  // namespace roundel::engine
