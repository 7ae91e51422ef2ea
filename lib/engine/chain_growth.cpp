#include "lib/engine/chain_growth.h"

#include <algorithm>

#include "lib/engine/chain_gates.h"

namespace roundel::engine {
namespace {

// A product that reads operands as their transposes.
bool IsFusedProduct(const graph::Node& node) { return node.Is("FusedMatMul", "com.microsoft"); }

bool TakesPostOps(const graph::Node& node) {
  if (IsFusedProduct(node)) return true;
  if (!node.domain.empty()) return false;
  for (const char* op : {"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "Add",
                         "Mul", "Sub", "Div"})
    if (node.op_type == op) return true;
  return false;
}

// 32-bit sums -> Cast -> Mul by their scale (-> Add of a constant bias). False if the Cast or the
// Mul is missing.
bool GrowScaledSums(Chaining& s, Chain* chain) {
  Reader cast, mul, add;
  Chain grown = *chain;
  const PlanNode* node = s.Next(grown, &cast);
  if (!node || !node->node.Is("Cast") || node->node.Int("to", 0) != int64_t(DType::kFloat))
    return false;
  grown.outputs = node->outputs;
  node = s.Next(grown, &mul);
  if (!node || !node->node.Is("Mul") || node->opset < 7 || node->inputs.size() != 2) return false;
  const int scale = node->inputs[1 - mul.input];
  if (scale == kNoSlot || scale == grown.output()) return false;
  chain->spec.scale_input = static_cast<int>(chain->inputs.size());
  chain->inputs.push_back(scale);
  s.Take(chain, cast.node);
  s.Take(chain, mul.node);
  const Tensor* weights = ConstantInput(s.plan, s.plan.nodes[chain->nodes[0]], 1);
  node = s.Next(*chain, &add);
  const Tensor* bias = node && node->node.Is("Add") && node->opset >= 7 && weights
                           ? FloatConstant(s.plan, *node, 1 - add.input)
                           : nullptr;
  if (!bias) return true;
  // Per channel: the last axis of a product, the axis before the spatial ones of a Conv.
  const bool conv = s.plan.nodes[chain->nodes[0]].node.Is("ConvInteger");
  const int64_t trailing = conv ? weights->rank() - 2 : 0;
  const int64_t channels = weights->dim(conv ? 0 : -1), position = bias->rank() - 1 - trailing;
  if (bias->size() != channels || position < 0 || bias->dim(position) != channels ||
      bias->rank() > (conv ? weights->rank() : 2))
    return true;
  chain->spec.bias = bias->Reshaped({channels});
  s.Take(chain, add.node);
  return true;
}

// Nodes that can be folded into the weights.
void GrowLinear(Chaining& s, Chain* chain) {
  const PlanNode& main = s.plan.nodes[chain->nodes[0]];
  if (!IsLinear(main.node) || !chain->spec.weights.defined()) return;
  auto fold = LinearFold::Of(s.plan, main);
  while (true) {
    const std::vector<Reader> readers = s.Readers(chain->output());
    if (readers.size() != 1 || !OneOutput(s.plan.nodes[readers[0].node])) break;
    if (!fold->Append(s.plan, s.plan.nodes[readers[0].node], readers[0].input)) break;
    s.Take(chain, readers[0].node);
  }
  if (chain->nodes.size() == 1) return;
  chain->spec.weights = fold->Weights();
  chain->spec.bias = fold->Bias();
  chain->spec.min_rank = fold->min_rank();
  chain->spec.folded = true;
}

bool GrowElementOps(Chaining& s, Chain* chain) {
  const std::vector<Reader> readers = s.Readers(chain->output());
  if (readers.size() != 1) return false;
  const PlanNode& node = s.plan.nodes[readers[0].node];
  const auto element = AsElementOps(s.plan, node);
  if (!element || element->input != readers[0].input || !OneOutput(node)) return false;
  chain->spec.post_ops.insert(chain->spec.post_ops.end(), element->ops.begin(), element->ops.end());
  chain->spec.min_rank = std::max(chain->spec.min_rank, element->min_rank);
  s.Take(chain, readers[0].node);
  return true;
}

// An Add of another value: at most once in a chain, and only after kernels that can initialize
// their sums with it.
bool GrowResidual(Chaining& s, Chain* chain) {
  const graph::Node& main = s.plan.nodes[chain->nodes[0]].node;
  if (!IsLinear(main) && !IsFusedProduct(main) && !IsIntegerProduct(main)) return false;
  for (const PostOp& op : chain->spec.post_ops)
    if (op.kind == PostOpKind::kAdd) return false;
  const std::vector<Reader> readers = s.Readers(chain->output());
  if (readers.size() != 1) return false;
  const PlanNode& add = s.plan.nodes[readers[0].node];
  if (!add.node.Is("Add") || add.opset < 7 || add.inputs.size() != 2 || !OneOutput(add))
    return false;
  const int other = add.inputs[1 - readers[0].input];
  if (other == kNoSlot || s.plan.slots[other].constant) return false;
  chain->spec.post_ops.push_back(
      {.kind = PostOpKind::kAdd, .input = static_cast<int>(chain->inputs.size())});
  chain->inputs.push_back(other);
  s.Take(chain, readers[0].node);
  return true;
}

}  // namespace

void GrowChain(Chaining& s, Chain* chain) {
  const PlanNode& main = s.plan.nodes[chain->nodes[0]];
  if (IsIntegerProduct(main.node) && (!OneOutput(main) || !GrowScaledSums(s, chain))) return;
  const bool element_wise = chain->spec.element_input >= 0;
  if (!OneOutput(main) ||
      (!element_wise && !TakesPostOps(main.node) && !IsIntegerProduct(main.node)))
    return;
  GrowLinear(s, chain);
  while (GrowSwish(s, chain) || GrowGelu(s, chain) || GrowElementOps(s, chain) ||
         GrowResidual(s, chain)) {
  }
  DescribeValues(s.plan, chain);
}

}  // namespace roundel::engine
