#include "lib/targets/islands.h"

#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/bodies.h"
#include "lib/targets/fused_adds.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {

using graph::Node;
using Kind = NodePlan::Kind;

bool Islands::IsIntegerOp(const Node& node) {
  const Kind kind = p_.plans[&node].kind;
  return kind == Kind::kQuantized || kind == Kind::kShared;
}

// A rule of the recipe that gives the node a grid forces its quantization.
bool Islands::IsForced(const Node& node) {
  const GridRule* rule = p_.rules.OfNode(node);
  return rule && rule->activations;
}

// The input whose grid the node passes on; nullptr if it does not.
const std::string* Islands::Followed(const Node& node) {
  const Kind kind = p_.plans[&node].kind;
  if (kind == Kind::kPassThrough || kind == Kind::kClamp) return &node.inputs[0];
  // A Min with a constant after a clamp belongs to the clamp
  // (ActivationPoints::OutputAfterClamps).
  const auto data = MinDataInput(p_.g, node);
  const Node* before = data ? p_.g.Producer(node.inputs[*data]) : nullptr;
  if (!before || p_.plans[before].kind != Kind::kClamp) return nullptr;
  const bool alone = p_.g.OnlyConsumer(node.inputs[*data]) == &node;
  const bool excluded = p_.plans[&node].reason.starts_with("excluded");
  return alone && !excluded ? &node.inputs[*data] : nullptr;
}

void Islands::LookAhead() {
  to_integer_.clear(), to_layer_.clear(), to_output_.clear(), layer_inputs_.clear();
  for (const auto& output : p_.g.outputs) to_output_.insert(output.name);
  for (const auto& node : p_.g.nodes())  // of bodies, in a flat graph
    if (node->FindAttribute(graph::kBodiesTag))
      to_output_.insert(node->inputs.begin(), node->inputs.end());
  const auto& nodes = p_.g.nodes();
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    const Node& node = **it;
    if (IsIntegerOp(node)) {
      const bool anchor = p_.profile.anchors.contains(node.op_type);
      const bool to_layer = anchor || graph::IsLayerOp(node) || to_layer_.contains(node.output(0));
      for (const size_t i : DataInputs(node)) {
        to_integer_.insert(node.input(i));
        if (anchor) layer_inputs_.insert(node.input(i));
        if (to_layer) to_layer_.insert(node.input(i));
      }
    } else if (const std::string* input = Followed(node)) {
      for (auto* set : {&to_integer_, &to_layer_, &to_output_})
        if (std::any_of(node.outputs.begin(), node.outputs.end(),
                        [&](const std::string& output) { return set->contains(output); }))
          set->insert(*input);
    }
  }
}

void Islands::LookBack() {
  integer_ = layer_inputs_;
  blocked_.clear();
  for (const auto& node : p_.g.nodes()) {
    const std::string* input = Followed(*node);
    for (const std::string& output : node->outputs) {
      if (p_.joins.floats.contains(output) || (input && blocked_.contains(*input)))
        blocked_.insert(output);
      if (IsIntegerOp(*node) || (input && integer_.contains(*input))) integer_.insert(output);
    }
  }
}

// A bias after a layer whose kernel has float results: in float it costs one pass over the result
// and saves one rounding.
bool Islands::AddsBiasToFloats(const Node& node) const {
  if (!node.Is("Add")) return false;
  for (const size_t i : {0, 1}) {
    const std::string& sum = node.input(i);
    const Node* layer = p_.g.Producer(sum);
    if (p_.g.Constant(node.input(1 - i)) && layer &&
        p_.profile.float_results.contains(layer->op_type) && p_.g.OnlyConsumer(sum) == &node)
      return true;
  }
  return false;
}

// A value and its moved or clamped copies have one range.
void Islands::SpreadUnknown() {
  unknown_.insert(p_.joins.unknown_ranges.begin(), p_.joins.unknown_ranges.end());
  const auto& nodes = p_.g.nodes();
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    const std::string* input = Followed(**it);
    if (input && std::any_of((*it)->outputs.begin(), (*it)->outputs.end(),
                             [&](const std::string& output) { return unknown_.contains(output); }))
      unknown_.insert(*input);
  }
  for (const auto& node : nodes)
    if (const std::string* input = Followed(*node); input && unknown_.contains(*input))
      unknown_.insert(node->outputs.begin(), node->outputs.end());
}

std::string Islands::UnknownRangeProblem(const Node& node) const {
  if (unknown_.empty()) return "";
  for (const size_t i : DataInputs(node))
    if (unknown_.contains(node.input(i)))
      return StrCat("the range of its input '", node.input(i), "' is not known");
  if (unknown_.contains(node.output(0)) && !p_.profile.float_results.contains(node.op_type) &&
      !p_.profile.float_outputs.contains(node.op_type))
    return StrCat("the range of its output '", node.output(0), "' is not known");
  return "";
}

// The reason why a quantized node must be float; "" if there is none.
std::string Islands::Problem(const Node& node) {
  if (const auto join = p_.joins.floats.find(node.output(0)); join != p_.joins.floats.end())
    return join->second;
  for (const size_t i : DataInputs(node))
    if (blocked_.contains(node.input(i)))
      return StrCat("its input '", node.input(i), "' joins parts of too different ranges");
  if (p_.profile.fused_adds && node.Is("Add"))
    if (std::string problem = FusedAddProblem(p_.g, node); !problem.empty()) return problem;
  if (p_.profile.anchors.empty() || p_.profile.anchors.contains(node.op_type) || IsForced(node))
    return "";
  if (AddsBiasToFloats(node)) return "adds a bias to the float result of its layer";
  for (const size_t i : DataInputs(node)) {
    const std::string& value = node.input(i);
    const bool matters = !value.empty() && p_.sorter.IsFloat32(value) && !p_.g.Constant(value);
    if (matters && !integer_.contains(value))
      return StrCat("no integer neighbor before it: '", value, "' is float");
  }
  const bool ends = p_.profile.island_ends.contains(node.op_type);
  if (!ends && !to_integer_.contains(node.output(0))) return "no integer neighbor after it";
  return "";
}

void Islands::Settle() {
  SpreadUnknown();
  for (const auto& node : p_.g.nodes()) {
    const std::string problem = IsIntegerOp(*node) ? UnknownRangeProblem(*node) : "";
    if (!problem.empty())
      p_.plans[node.get()] = p_.sorter.SortWithoutRanges(*node, p_.rules.OfNode(*node), problem);
  }
  for (bool changed = true; changed;) {
    changed = false;
    LookAhead();
    LookBack();
    for (const auto& node : p_.g.nodes()) {
      if (!IsIntegerOp(*node)) continue;
      std::string problem = Problem(*node);
      if (problem.empty()) continue;
      p_.plans[node.get()] = {Kind::kFloat, std::move(problem)};
      changed = true;
    }
  }
}

bool Islands::FeedsInteger(const std::string& value) const {
  return p_.profile.anchors.empty() || to_integer_.contains(value);
}

}  // namespace roundel::target
