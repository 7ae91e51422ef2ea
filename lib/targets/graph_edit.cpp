#include "lib/targets/graph_edit.h"

#include <algorithm>
#include <vector>

#include "lib/base/hash.h"
#include "lib/base/text.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;

// Names that `graph` itself defines; reads of them do not reach the outer scope.
std::unordered_set<std::string> LocalNames(const Graph& graph) {
  std::unordered_set<std::string> names;
  for (const auto& input : graph.inputs) names.insert(input.name);
  for (const auto& initializer : graph.initializers()) names.insert(initializer.name);
  for (const auto& node : graph.nodes()) names.insert(node->outputs.begin(), node->outputs.end());
  return names;
}

void RenameOuterReads(const Renames& renames, Graph* sub) {
  const std::unordered_set<std::string> local = LocalNames(*sub);
  Renames outer;
  for (const auto& [from, to] : renames)
    if (!local.contains(from)) outer.emplace(from, to);
  for (const auto& node : sub->nodes()) RenameReads(outer, node.get());
  for (auto& output : sub->outputs)
    if (const auto it = outer.find(output.name); it != outer.end()) output.name = it->second;
  sub->InvalidateIndex();
}

bool IsQdqDomain(const std::string& domain) { return domain.empty() || domain == kContribDomain; }

}  // namespace

bool IsQuantizeNode(const Node& node) {
  return node.op_type == "QuantizeLinear" && IsQdqDomain(node.domain);
}
bool IsDequantizeNode(const Node& node) {
  return node.op_type == "DequantizeLinear" && IsQdqDomain(node.domain);
}

void NameSet::Collect(const Graph& graph) {
  for (const auto& input : graph.inputs) taken_.insert(input.name);
  for (const auto& output : graph.outputs) taken_.insert(output.name);
  for (const auto& initializer : graph.initializers()) taken_.insert(initializer.name);
  for (const auto& node : graph.nodes()) {
    taken_.insert(node->name);
    taken_.insert(node->inputs.begin(), node->inputs.end());
    taken_.insert(node->outputs.begin(), node->outputs.end());
    graph::ForEachSubgraph(*node, [this](Graph& sub) { Collect(sub); });
  }
}

std::string NameSet::Fresh(const std::string& base) {
  std::string name = base;
  for (int i = 1; !taken_.insert(name).second; ++i) name = StrCat(base, "_", i);
  return name;
}

void RenameReads(const Renames& renames, Node* node) {
  for (std::string& input : node->inputs)
    if (const auto it = renames.find(input); it != renames.end()) input = it->second;
  graph::ForEachSubgraph(*node, [&](Graph& sub) { RenameOuterReads(renames, &sub); });
}

std::shared_ptr<Graph> EmptyCopy(const Graph& graph) {
  auto copy = std::make_shared<Graph>();
  copy->name = graph.name;
  copy->doc_string = graph.doc_string;
  copy->unknown = graph.unknown;
  copy->inputs = graph.inputs;
  copy->outputs = graph.outputs;
  return copy;
}

void CopyValueInfo(const Graph& from, Graph* to) {
  for (const auto& info : from.value_info)
    if (to->Producer(info.name) || to->FindInitializer(info.name)) to->value_info.push_back(info);
}

void RemoveUnusedConstants(Graph* graph) {
  std::unordered_set<const Node*> unused;
  for (const auto& node : graph->nodes())
    if (node->Is("Constant") && graph->Uses(node->output(0)).empty() &&
        !graph->IsOutput(node->output(0)))
      unused.insert(node.get());
  graph->RemoveNodes([&](const Node& node) { return unused.contains(&node); });
  graph->RemoveUnusedInitializers();
}

void MergeInitializers(Graph* graph) {
  constexpr int64_t kMinBytes = 256;  // bytes; scales keep their names
  constexpr int64_t kComparedElements =
      4096;  // tensors that differ usually do so in their first elements
  std::unordered_map<std::string, std::vector<const graph::Initializer*>> known;
  Renames merged;
  for (const graph::Initializer& initializer : graph->initializers()) {
    const Tensor& value = initializer.value;
    if (value.dtype() == DType::kString || value.byte_size() < kMinBytes ||
        graph->IsInput(initializer.name) || graph->IsOutput(initializer.name))
      continue;
    Hasher hasher;
    hasher.Add(value.raw(), static_cast<size_t>(std::min(value.byte_size(), kComparedElements)));
    auto& same = known[StrCat(DTypeName(value.dtype()), ShapeString(value.shape()), hasher.Hex())];
    const auto twin = std::find_if(same.begin(), same.end(),
                                   [&](const auto* other) { return other->value == value; });
    if (twin == same.end())
      same.push_back(&initializer);
    else
      merged[initializer.name] = (*twin)->name;
  }
  if (merged.empty()) return;
  for (const auto& node : graph->nodes()) RenameReads(merged, node.get());
  graph->InvalidateIndex();
  graph->RemoveUnusedInitializers();
}

}  // namespace roundel::target
