#include "lib/engine/transposed_operands.h"

#include "lib/graph/operators.h"

namespace roundel::engine {
namespace {

// The node that computes `slot` if it exchanges the last two axes and nothing else.
const PlanNode* TransposeOf(const Plan& plan, int slot) {
  if (slot == kNoSlot || plan.slots[slot].constant || plan.slots[slot].encoding) return nullptr;
  for (size_t i = plan.nodes.size(); i-- > 0;) {
    const PlanNode& node = plan.nodes[i];
    if (node.outputs.empty() || node.outputs[0] != slot) continue;
    if (!node.node.Is("Transpose")) return nullptr;
    const std::vector<int64_t> axes = node.node.Ints("perm");
    const size_t rank = axes.size();
    if (rank < 2) return nullptr;
    for (size_t k = 0; k < rank; ++k) {
      const size_t from = k + 2 < rank ? k : 2 * rank - 3 - k;
      if (axes[k] != static_cast<int64_t>(from)) return nullptr;
    }
    return &node;
  }
  return nullptr;
}

}  // namespace

bool ReadTransposed(const Plan& plan, PlanNode* node) {
  if (!graph::Has(node->node, graph::Fact::kMatrix) || node->inputs.size() < 2) return false;
  const bool gemm = node->node.Is("Gemm");  // else MatMul
  const int weights = node->inputs[1];
  // Constant weights are packed once, which saves more than the transposition costs.
  if (weights == kNoSlot || plan.slots[weights].constant) return false;
  const OpEntry* fused = gemm ? node->op : FindOp("com.microsoft", "FusedMatMul", 1);
  bool any = false;
  for (size_t i : {0, 1}) {
    const PlanNode* transpose = TransposeOf(plan, node->inputs[i]);
    if (!transpose) continue;
    const char* flag = i == 0 ? "transA" : "transB";
    node->inputs[i] = transpose->inputs[0];
    node->node.SetAttribute(flag, int64_t{gemm && node->node.Int(flag, 0) != 0 ? 0 : 1});
    any = true;
  }
  if (!any || gemm) return any;
  node->node.op_type = "FusedMatMul";
  node->node.domain = "com.microsoft";
  node->op = fused;
  node->opset = 1;
  return true;
}

}  // namespace roundel::engine
