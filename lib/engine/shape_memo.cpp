#include "lib/engine/shape_memo.h"

#include <algorithm>

#include "lib/graph/operators.h"

namespace roundel::engine {
ShapeMemo::ShapeMemo(const Plan& plan) : plan_(plan), versions_(plan.slots.size(), 0) {
  std::vector<bool> of_shapes(plan.slots.size(), false);
  std::vector<Memo> steps(plan.steps.size());
  bool any = false;
  for (size_t i = 0; i < steps.size(); ++i) {
    const Unit& unit = plan.steps[i].whole;
    if (unit.nodes.size() != 1) continue;
    const graph::Node& node = plan.nodes[unit.nodes[0]].node;
    Memo& memo = steps[i];
    memo.reads_shape = node.domain.empty() && (node.op_type == "Shape" || node.op_type == "Size");
    const bool derived = graph::Has(node, graph::Fact::kComputesSizes) &&
                         std::all_of(unit.inputs.begin(), unit.inputs.end(), [&](int slot) {
                           return slot == kNoSlot || plan.slots[slot].constant || of_shapes[slot];
                         });
    const bool free = std::none_of(unit.outputs.begin(), unit.outputs.end(), [&](int slot) {
      return slot != kNoSlot && plan.slots[slot].encoding;
    });
    memo.covered = free && (memo.reads_shape ? unit.inputs.size() == 1 : derived);
    if (!memo.covered) continue;
    any = true;
    for (int slot : unit.outputs)
      if (slot != kNoSlot) of_shapes[slot] = true;
  }
  if (any) steps_ = std::move(steps);
}

std::vector<int64_t> ShapeMemo::Versions(size_t i) const {
  std::vector<int64_t> versions;
  if (steps_[i].reads_shape) return versions;
  for (int slot : plan_.steps[i].whole.inputs)
    if (slot != kNoSlot) versions.push_back(versions_[slot]);
  return versions;
}

const std::vector<Tensor>* ShapeMemo::Recall(size_t i, const Shape& shape) {
  const Memo& memo = steps_[i];
  if (!memo.known) return nullptr;
  if (memo.reads_shape) return memo.shape == shape ? &memo.results : nullptr;
  size_t next = 0;
  for (int slot : plan_.steps[i].whole.inputs)
    if (slot != kNoSlot && memo.versions[next++] != versions_[slot]) return nullptr;
  return &memo.results;
}

void ShapeMemo::Keep(size_t i, const Shape& shape, std::vector<Tensor> results) {
  Memo& memo = steps_[i];
  const std::vector<int>& outputs = plan_.steps[i].whole.outputs;
  const bool all = std::all_of(results.begin(), results.end(),
                               [](const Tensor& result) { return result.defined(); });
  for (size_t k = 0; k < outputs.size(); ++k) {
    const bool same = all && memo.known && results[k] == memo.results[k];
    if (outputs[k] != kNoSlot && !same) ++versions_[outputs[k]];
  }
  memo.known = all;
  memo.shape = shape;
  memo.versions = Versions(i);
  memo.results = all ? std::move(results) : std::vector<Tensor>();
}

}  // namespace roundel::engine
