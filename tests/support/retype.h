#pragma once
// A float32 model in another floating type, as the usual converters make it: weights, inputs,
// outputs and constants change, scales of Resize and sizes of Cast targets follow the
// specification's types.

#include <set>
#include <string>

#include "lib/graph/graph.h"

namespace roundel::support {

inline void RetypeGraph(graph::Graph& graph, DType to) {
  std::set<std::string> stay;  // Resize takes its scales as float32 whatever it resizes
  for (const graph::NodePtr& node : graph.nodes())
    if (node->Is("Resize")) stay.insert(node->input(2));
  std::vector<std::pair<std::string, Tensor>> changed;
  for (const graph::Initializer& initializer : graph.initializers())
    if (initializer.value.dtype() == DType::kFloat && !stay.contains(initializer.name))
      changed.emplace_back(initializer.name, initializer.value.FromFloatTo(to));
  for (auto& [name, value] : changed) graph.SetInitializer(name, std::move(value));
  for (auto* infos : {&graph.inputs, &graph.outputs, &graph.value_info})
    for (graph::ValueInfo& info : *infos)
      if (info.dtype == DType::kFloat) info.dtype = to;
  for (const graph::NodePtr& node : graph.nodes()) {
    const Tensor* value = node->TensorAttribute("value");
    if (value && value->dtype() == DType::kFloat && !stay.contains(node->output(0)))
      node->SetAttribute("value", value->FromFloatTo(to));
    if (node->Is("Cast") && node->Int("to", 0) == static_cast<int64_t>(DType::kFloat))
      node->SetAttribute("to", static_cast<int64_t>(to));
    graph::ForEachSubgraph(*node, [to](graph::Graph& nested) { RetypeGraph(nested, to); });
  }
}

inline graph::Model Retyped(const graph::Model& model, DType to) {
  graph::Model copy = graph::Clone(model);
  RetypeGraph(*copy.graph, to);
  return copy;
}

// The same model in float32 with weights that `type` can hold.
inline graph::Model RoundedWeights(const graph::Model& model, DType type) {
  graph::Model copy = graph::Clone(model);
  std::vector<std::pair<std::string, Tensor>> changed;
  for (const graph::Initializer& initializer : copy.graph->initializers())
    if (initializer.value.dtype() == DType::kFloat)
      changed.emplace_back(initializer.name, initializer.value.FromFloatTo(type).ToFloat());
  for (auto& [name, value] : changed) copy.graph->SetInitializer(name, std::move(value));
  return copy;
}

}  // namespace roundel::support
