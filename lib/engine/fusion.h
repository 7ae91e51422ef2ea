#pragma once
// Fusion of nodes into one kernel: activation functions as post-ops, and operations that can be
// folded into the weights of a convolution or matrix product.

#include <functional>
#include <optional>
#include <vector>

#include "lib/engine/plan.h"

namespace roundel::engine {

// Input `i` of the node if it is constant; nullptr if it is not, or absent.
const Tensor* ConstantInput(const Plan& plan, const PlanNode& node, size_t i);
// The same if it is float32, too.
const Tensor* FloatConstant(const Plan& plan, const PlanNode& node, size_t i);

// The node as operations on every element of its float input `*input`; nullopt if that is not
// possible. `min_rank` is raised to the rank of constants in it.
struct ElementOps {
  std::vector<PostOp> ops;
  size_t input = 0;
  int64_t min_rank = 0;
};
std::optional<ElementOps> AsElementOps(const Plan& plan, const PlanNode& node);

// The constant that `node`, a binary `op`, combines with its input `input`, if it is one value (of
// a rank that does not raise the rank of the result).
std::optional<float> ScalarOperand(const Plan& plan, const PlanNode& node, const char* op,
                                   size_t input);

// A reader of a value: node and input index.
struct Reader {
  int node;
  size_t input;
};
// The readers of a slot if fusion may remove its value, else none.
using ReaderList = std::function<std::vector<Reader>(int slot)>;

// A normalization over the last axis that consists of several nodes.
struct NormPattern {
  std::vector<int> nodes;  // sorted
  int x = kNoSlot;         // the normalized value
  int last = -1;           // the node that produces the result
  bool centered = true;    // false: RMS
  float epsilon = 0;
  const Tensor *gamma = nullptr, *beta = nullptr;
};
// The pattern whose first node is `start`.
std::optional<NormPattern> MatchNorm(const Plan& plan, int start, const ReaderList& readers);

// result[c] = scale[c] * linear[c] + shift[c] by output channel of a Conv, ConvTranspose, Gemm or
// MatMul with constant weights; collected in double, applied to the weights at the end.
class LinearFold {
 public:
  // nullopt unless weights and bias are constant float tensors of shapes that fit the node.
  static std::optional<LinearFold> Of(const Plan& plan, const PlanNode& node);

  // Folds `node`, which reads the result as input `input`; false if that is not possible.
  bool Append(const Plan& plan, const PlanNode& node, size_t input);

  LinearWeights Weights() const;
  Tensor Bias() const;  // undefined if all zeros
  int64_t min_rank() const { return min_rank_; }

 private:
  Tensor Scaled(const Tensor& weights) const;
  bool AppendBatchNorm(const Plan& plan, const PlanNode& node);
  bool AppendConstant(const Plan& plan, const PlanNode& node, size_t input);
  // The values of a constant operand per channel; empty if it does not vary along the channels.
  std::vector<double> ByChannel(const Tensor& operand) const;

  Tensor weights_;
  std::vector<double> scale_, shift_;  // by output channel
  bool scaled_ = false;
  int64_t axis_ = 0;      // of the output channels in the weights
  int64_t groups_ = 1;    // ConvTranspose: channel c lies at index c % (M / groups) of group
  int64_t trailing_ = 0;  // axes of the result after the channels
  int64_t rank_ = 0;      // of the result; 0: not known
  int64_t min_rank_ = 0;
};

}  // namespace roundel::engine
