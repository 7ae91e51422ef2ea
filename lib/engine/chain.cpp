#include "lib/engine/chain.h"

#include "lib/graph/operators.h"

namespace roundel::engine {

bool IsLinear(const graph::Node& node) { return graph::Has(node, graph::Fact::kLayer); }

bool IsIntegerProduct(const graph::Node& node) {
  return node.Is("ConvInteger") || node.Is("MatMulInteger");
}

void DescribeValues(const Plan& plan, Chain* chain) {
  KernelSpec& spec = chain->spec;
  spec.constants.clear();
  spec.encodings.clear();
  const auto address = [](const auto& optional) { return optional ? &*optional : nullptr; };
  for (int id : chain->inputs) {
    static const Slot kNone;
    const Slot& slot = id == kNoSlot ? kNone : plan.slots[id];
    spec.constants.push_back(address(slot.constant));
    spec.encodings.push_back(address(slot.constant ? slot.constant_encoding : slot.encoding));
  }
  spec.output_encoding =
      chain->output() == kNoSlot ? nullptr : address(plan.slots[chain->output()].encoding);
}

Chain StartChain(const Plan& plan, int i) {
  const PlanNode& node = plan.nodes[i];
  Chain chain{.nodes = {i}, .inputs = node.inputs, .outputs = node.outputs};
  chain.spec.main = &node.node;
  chain.spec.opset = node.opset;
  if (IsLinear(node.node)) {
    if (const auto fold = LinearFold::Of(plan, node)) {
      chain.spec.weights = fold->Weights();
      chain.spec.bias = fold->Bias();
    }
  } else if (const auto element = AsElementOps(plan, node)) {
    chain.spec.post_ops = element->ops;
    chain.spec.main_ops = element->ops.size();
    chain.spec.min_rank = element->min_rank;
    chain.spec.element_input = static_cast<int>(element->input);
  }
  DescribeValues(plan, &chain);
  return chain;
}

bool OneOutput(const PlanNode& node) {
  for (size_t i = 1; i < node.outputs.size(); ++i)
    if (node.outputs[i] != kNoSlot) return false;
  return !node.outputs.empty() && node.outputs[0] != kNoSlot;
}

Chaining::Chaining(const Plan& plan)
    : plan(plan), uses(plan.slots.size()), taken(plan.nodes.size(), 0) {
  for (size_t i = 0; i < plan.nodes.size(); ++i)
    for (size_t k = 0; k < plan.nodes[i].inputs.size(); ++k)
      if (const int slot = plan.nodes[i].inputs[k]; slot != kNoSlot)
        uses[slot].push_back({static_cast<int>(i), k});
}

std::vector<Reader> Chaining::Readers(int slot) const {
  if (slot == kNoSlot || plan.slots[slot].pinned()) return {};
  for (const Reader& use : uses[slot])
    if (taken[use.node]) return {};
  return uses[slot];
}

std::optional<Reader> Chaining::OnlyReader(int node) const {
  const std::vector<int>& outputs = plan.nodes[node].outputs;
  const std::vector<Reader> readers = Readers(outputs.empty() ? kNoSlot : outputs[0]);
  return readers.size() == 1 ? std::optional(readers[0]) : std::nullopt;
}

const PlanNode* Chaining::Next(const Chain& chain, Reader* reader) const {
  const std::vector<Reader> readers = Readers(chain.output());
  if (readers.size() != 1 || !OneOutput(plan.nodes[readers[0].node])) return nullptr;
  *reader = readers[0];
  return &plan.nodes[readers[0].node];
}

void Chaining::Take(Chain* chain, int node) {
  taken[node] = 1;
  chain->nodes.push_back(node);
  chain->outputs = plan.nodes[node].outputs;
}

}  // namespace roundel::engine
