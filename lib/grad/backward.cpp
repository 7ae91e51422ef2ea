#include "lib/grad/backward.h"

#include <algorithm>
#include <map>
#include <set>

#include "lib/base/text.h"
#include "lib/grad/rules.h"

namespace roundel::grad {
namespace {

using graph::Graph;
using graph::Model;
using graph::Node;

bool IsBit(uint32_t bits, size_t i) { return bits == kAll || (i < 32 && (bits >> i & 1) != 0); }

// Operators without a row are asked for when a path passes through them.
bool Passes(const RuleRow* row, const Node& node, size_t input) {
  return !row || (IsBit(row->inputs, input) && !(row->ends && row->ends(node)));
}

std::string Reason(const Model& model, const Node& node, const RuleRow* row) {
  const std::string type =
      node.domain.empty() ? node.op_type : StrCat(node.domain, ".", node.op_type);
  if (!row) return StrCat(type, " has no gradient rule");
  return row->why ? row->why(model, node) : "";
}

// Values that vary with `wrt`, and the nodes between these and the loss.
struct Paths {
  std::set<std::string> varying;
  std::set<std::string> needed;  // by the loss

  Paths(const Graph& graph, const std::string& loss, const std::vector<std::string>& wrt)
      : varying(wrt.begin(), wrt.end()), needed{loss} {
    for (const auto& node : graph.nodes())
      if (Varies(*node)) varying.insert(node->outputs.begin(), node->outputs.end());
    for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend(); ++node) {
      const bool wanted = std::any_of((*node)->outputs.begin(), (*node)->outputs.end(),
                                      [&](const std::string& y) { return needed.contains(y); });
      if (!wanted) continue;
      needed.insert((*node)->inputs.begin(), (*node)->inputs.end());
      for (const std::string& value : graph::OuterReads(**node)) needed.insert(value);
    }
    varying.erase("");
    needed.erase("");
  }

  // By input: whether it varies in a way that the node's result follows.
  std::vector<bool> Wanted(const Node& node) const {
    const RuleRow* row = FindRule(node);
    std::vector<bool> wanted;
    for (size_t i = 0; i < node.inputs.size(); ++i)
      wanted.push_back(Passes(row, node, i) && varying.contains(node.inputs[i]));
    return wanted;
  }
  bool Varies(const Node& node) const {
    const std::vector<bool> wanted = Wanted(node);
    if (std::find(wanted.begin(), wanted.end(), true) != wanted.end()) return true;
    const std::vector<std::string> outer = graph::OuterReads(node);
    return std::any_of(outer.begin(), outer.end(),
                       [&](const std::string& value) { return varying.contains(value); });
  }
  bool Between(const Node& node) const {
    const bool used = std::any_of(node.outputs.begin(), node.outputs.end(),
                                  [&](const std::string& y) { return needed.contains(y); });
    return used && Varies(node);
  }
};

Status EmitGradient(const Model& model, const Node& node, const Paths& paths, Emitter* emit) {
  const RuleRow* row = FindRule(node);
  std::string reason = Reason(model, node, row);
  if (reason.empty() && !row->rule) reason = StrCat(node.op_type, " passes no gradient");
  if (!reason.empty())
    return ModelError(StrCat("node ", node.DisplayName(), ": ", reason,
                             ", and the loss depends on a trained value through it"));
  emit->Begin(&node, paths.Wanted(node));
  bool any = false;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (emit->dy(i).empty()) continue;
    any = true;
    if (!IsBit(row->results, i))
      return ModelError(StrCat("node ", node.DisplayName(), ": its result ", i,
                               " has no gradient rule, and the loss depends on it"));
  }
  return any ? row->rule(*emit).At(StrCat("node ", node.DisplayName())) : OkStatus();
}

bool Exists(const Graph& graph, const std::string& value) {
  return graph.Producer(value) || graph.IsInput(value) || graph.FindInitializer(value);
}

}  // namespace

Result<std::vector<std::string>> Backward(Model* model, const std::string& loss,
                                          const std::vector<std::string>& wrt) {
  const Graph& graph = *model->graph;
  for (const std::string& value : wrt)
    if (!Exists(graph, value))
      return ModelError(StrCat("there is no value '", value, "' to train"));
  if (!Exists(graph, loss)) return ModelError(StrCat("there is no value '", loss, "' as a loss"));
  const Paths paths(graph, loss, wrt);
  Emitter emit(model);
  emit.AddTo(loss, emit.FillLike(loss, 1));
  for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend(); ++node)
    if (paths.Between(**node)) RETURN_IF_ERROR(EmitGradient(*model, **node, paths, &emit));
  std::vector<std::string> gradients;
  for (const std::string& value : wrt) {
    const std::string total = emit.Total(value);
    gradients.push_back(total.empty() ? emit.FillLike(value, 0) : total);
  }
  emit.Finish();
  return gradients;
}

std::string WhyNoGradient(const Model& model, const Node& node) {
  return Reason(model, node, FindRule(node));
}

bool HasGradient(const Node& node, size_t index) {
  const RuleRow* rule = FindRule(node);
  return rule && rule->rule && IsBit(rule->inputs, index);
}

}  // namespace roundel::grad
