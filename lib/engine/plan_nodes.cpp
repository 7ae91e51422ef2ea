// How a node enters the plan: it is folded, its result is an alias of another value, or it is a
// step.

#include <algorithm>
#include <utility>

#include "lib/base/text.h"
#include "lib/engine/plain_run.h"
#include "lib/engine/plan_builder.h"
#include "lib/engine/quantizer_pairs.h"
#include "lib/engine/transposed_operands.h"

namespace roundel::engine {

// Results beyond this size, or beyond the total budget, are not folded but computed by the run,
// which frees them: a tiny file can request any amount of zeros.
static constexpr int64_t kMaxFoldedBytes = int64_t{1} << 28;

Status PlanBuilder::AddNode(const FlatNode& flat) {
  PlanNode node{.node = flat.node,
                .opset = flat.opset,
                .op = FindOp(flat.node.domain, flat.node.op_type, flat.opset)};
  node.node.inputs.resize(flat.own_inputs());
  bool constant = true;
  for (const std::string& input : node.node.inputs) {
    node.inputs.push_back(input.empty() ? kNoSlot : plan_.slot_of.at(input));
    constant &= input.empty() || plan_.slots[node.inputs.back()].constant.has_value();
  }
  bool has_subgraphs = false;
  graph::ForEachSubgraph(node.node, [&](graph::Graph&) { has_subgraphs = true; });
  if (has_subgraphs) return AddControlNode(flat, std::move(node));
  // A node without inputs is constant only if it is a Constant: the others are random generators.
  if (node.inputs.empty()) constant = node.node.Is("Constant");
  if (constant) {
    ASSIGN_OR_RETURN(const bool folded, Fold(node));
    if (folded) return OkStatus();
  }
  if (options_.fast_kernels && IsIdentity(node)) {
    plan_.slot_of[node.node.outputs[0]] = node.inputs[0];
    return OkStatus();
  }
  if (options_.fast_kernels && ReadTransposed(plan_, &node)) unread_ = true;
  for (const std::string& output : node.node.outputs)
    node.outputs.push_back(Wanted(output) ? NewSlot(output) : kNoSlot);
  plan_.nodes.push_back(std::move(node));
  return OkStatus();
}

// Identity, and Dropout in inference, if the name of the result is not needed.
bool PlanBuilder::IsIdentity(const PlanNode& node) const {
  const std::string& output = node.node.output(0);
  if (node.inputs.empty() || node.inputs[0] == kNoSlot || output.empty()) return false;
  if (outputs_.contains(output) || tapped_.contains(output) || EncodingOf(output)) return false;
  if (node.node.Is("Identity")) return true;
  if (!node.node.Is("Dropout") || node.opset < 7 || Wanted(node.node.output(1))) return false;
  if (node.inputs.size() < 3 || node.inputs[2] == kNoSlot) return true;
  const std::optional<Tensor>& training = plan_.slots[node.inputs[2]].constant;
  return training && training->dtype() == DType::kBool && training->size() == 1 &&
         training->ToInt64s()[0] == 0;
}

// Runs a node with constant inputs now. False: its results are too large to keep, or not tensors.
Result<bool> PlanBuilder::Fold(const PlanNode& source) {
  PlanNode node = source;
  for (const std::string& output : node.node.outputs)
    node.outputs.push_back(Wanted(output) ? 0 : kNoSlot);
  std::vector<const Tensor*> inputs;
  for (int slot : node.inputs)
    inputs.push_back(slot == kNoSlot ? nullptr : &*plan_.slots[slot].constant);
  bool too_large = false;
  const auto allocate = [&](DType type, const Shape& shape) -> Result<Tensor> {
    const int64_t bytes = ByteSize(type, NumElements(shape));
    too_large |= bytes > kMaxFoldedBytes || bytes > budget_.folded_bytes;
    if (!too_large) budget_.folded_bytes -= bytes;
    if (too_large) return ModelError("too large to fold");
    return Tensor::Empty(type, shape);
  };
  std::vector<Datum> outputs;
  Status status = RunPlain(node, {inputs.begin(), inputs.end()}, allocate, &outputs);
  if (too_large) return false;
  RETURN_IF_ERROR(std::move(status));
  for (size_t i = 0; i < outputs.size(); ++i)
    if (node.outputs[i] != kNoSlot && !outputs[i].is_tensor()) return false;
  // Before new slots, because they invalidate references to the old ones.
  const std::optional<quant::Encoding> stored = EncodingOfDequantize(node, inputs);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (node.outputs[i] == kNoSlot) continue;
    RETURN_IF_ERROR(NewConstant(node.node.outputs[i], std::move(outputs[i].tensor)));
    Slot& slot = plan_.slots.back();
    if (!slot.constant_encoding) slot.constant_encoding = stored;
  }
  return true;
}

// Removes nodes that nothing reads any more: only branches that an If does not take, or products that
// read the source of a Transpose.
void PlanBuilder::DropDeadNodes() {
  std::vector<char> used(plan_.slots.size(), 0), needed(plan_.nodes.size(), 0);
  for (int slot : plan_.output_slots) used[slot] = 1;
  for (size_t i = plan_.nodes.size(); i-- > 0;) {
    for (int slot : plan_.nodes[i].outputs)
      needed[i] |= slot != kNoSlot && (used[slot] || plan_.slots[slot].tapped);
    if (!needed[i]) continue;
    for (int slot : plan_.nodes[i].inputs)
      if (slot != kNoSlot) used[slot] = 1;
  }
  std::vector<PlanNode> kept;
  for (size_t i = 0; i < plan_.nodes.size(); ++i)
    if (needed[i]) kept.push_back(std::move(plan_.nodes[i]));
  plan_.nodes = std::move(kept);
}

// Constants that only folded nodes have read are released.
void PlanBuilder::DropUnusedConstants() {
  std::vector<char> used(plan_.slots.size(), 0);
  for (const PlanNode& node : plan_.nodes)
    for (int slot : node.inputs)
      if (slot != kNoSlot) used[slot] = 1;
  for (size_t i = 0; i < plan_.slots.size(); ++i) {
    Slot& slot = plan_.slots[i];
    if (slot.constant && !used[i] && !slot.is_output && !slot.tapped) slot.constant = Tensor();
    if (slot.constant && !slot.constant->defined()) slot.constant_encoding.reset();
  }
}

}  // namespace roundel::engine
