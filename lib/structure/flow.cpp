#include "lib/structure/flow.h"

#include <algorithm>

#include "lib/graph/layer.h"
#include "lib/graph/layer_slots.h"
#include "lib/graph/operators.h"
#include "lib/graph/value_types.h"

namespace roundel::structure {

using graph::Fact;
using graph::Node;

Flow::Flow(const graph::Model& model)
    : graph_(*model.graph), types_(graph::InferValueTypes(model)) {
  ReadGraph();
  FindLayers();
  FindFlow();
}

int Flow::Producer(const std::string& value) const {
  const auto found = producer_.find(value);
  return found == producer_.end() ? kNone : found->second;
}

bool Flow::IsFloat(const std::string& value) const {
  const auto found = types_.find(value);
  return found == types_.end() || IsFloating(found->second);
}

std::string Flow::Weight(int layer_node) const {
  return nodes[layer_node]->input(graph::WeightIndex(graph_, *nodes[layer_node]));
}

int64_t Flow::WeightSize(int layer_node) const {
  const Tensor* weight = graph_.Constant(Weight(layer_node));
  return weight ? weight->size() : 0;
}

bool Flow::IsDepthwise(int layer_node) const {
  const Tensor* weight = graph_.Constant(Weight(layer_node));
  const Node& node = *nodes[layer_node];
  return node.Is("Conv") && node.Int("group", 1) > 1 && weight->rank() > 1 && weight->dim(1) == 1;
}

void Flow::ReadGraph() {
  for (const graph::NodePtr& node : graph_.nodes()) {
    const int position = static_cast<int>(nodes.size());
    nodes.push_back(node.get());
    std::vector<std::string> values = node->inputs;
    for (const std::string& outer : graph::OuterReads(*node)) values.push_back(outer);
    std::vector<std::string> read;
    std::vector<int> from_nodes;
    for (const std::string& value : values) {
      if (value.empty() || graph_.Constant(value) || graph_.FindInitializer(value)) continue;
      if (std::find(read.begin(), read.end(), value) == read.end()) read.push_back(value);
      if (const int source = Producer(value); source != kNone) from_nodes.push_back(source);
    }
    std::sort(from_nodes.begin(), from_nodes.end());
    from_nodes.erase(std::unique(from_nodes.begin(), from_nodes.end()), from_nodes.end());
    reads.push_back(std::move(read));
    sources.push_back(std::move(from_nodes));
    for (const std::string& output : node->outputs)
      if (!output.empty()) producer_.emplace(output, position);
  }
}

bool Flow::IsLayer(const Node& node) const {
  return graph::Has(node, Fact::kLayer) &&
         graph_.Constant(node.input(graph::WeightIndex(graph_, node))) != nullptr;
}

// Rotary embeddings multiply positions by a vector of frequencies. That product is no layer: its
// data come from integers through nothing but arithmetic, and each of its sums has one term. (Codes
// of pixels are integers, too, but a layer on them has more terms.)
void FindProductsOfPositions(const Flow& flow, const std::vector<bool>& from_float,
                             const graph::Graph& graph, std::vector<bool>* layer) {
  for (size_t n = 0; n < flow.nodes.size(); ++n) {
    if (!(*layer)[n] || from_float[n] || !graph::Has(*flow.nodes[n], Fact::kMatrix)) continue;
    const Tensor& weight = *graph.Constant(flow.Weight(static_cast<int>(n)));
    const auto slots = graph::FindLayerSlots(graph, *flow.nodes[n], weight.rank());
    if (slots && weight.rank() > 0 && weight.dim(slots->reduce_axis) == 1) (*layer)[n] = false;
  }
}

void Flow::FindLayers() {
  // Whether a float graph input, a layer, or a table that is looked up precedes the node.
  std::vector<bool> from_float(nodes.size());
  for (size_t n = 0; n < nodes.size(); ++n) {
    layer.push_back(IsLayer(*nodes[n]));
    bool found = nodes[n]->Is("Gather") && graph_.Constant(nodes[n]->input(0));
    for (const std::string& value : reads[n]) {
      const int source = Producer(value);
      found |= source == kNone ? IsFloat(value) : from_float[source] || layer[source];
    }
    from_float[n] = found;
  }
  FindProductsOfPositions(*this, from_float, graph_, &layer);
}

// Producers of the floats that each node reads.
std::vector<std::vector<int>> FloatSources(const Flow& flow) {
  std::vector<std::vector<int>> sources(flow.nodes.size());
  for (size_t n = 0; n < sources.size(); ++n)
    for (const std::string& value : flow.reads[n])
      if (const int source = flow.Producer(value); source != Flow::kNone && flow.IsFloat(value))
        sources[n].push_back(source);
  return sources;
}

void Flow::FindFlow() {
  const size_t count = nodes.size();
  for (const Node* node : nodes)
    results.push_back(static_cast<int>(
        std::count_if(node->outputs.begin(), node->outputs.end(), [&](const std::string& value) {
          return !value.empty() && IsFloat(value) && !graph_.Uses(value).empty();
        })));
  const std::vector<std::vector<int>> floats = FloatSources(*this);
  std::vector<bool> follows(count);  // reads a float that depends on a layer
  for (size_t n = 0; n < count; ++n) {
    for (const int source : floats[n])
      if (trained[source]) follows[n] = true;
    const auto& outputs = nodes[n]->outputs;
    trained.push_back((layer[n] || follows[n]) &&
                      std::any_of(outputs.begin(), outputs.end(), [&](const std::string& value) {
                        return !value.empty() && IsFloat(value);
                      }));
  }
  // What precedes a layer and depends on one; of the rest, what the first layers depend on.
  core = layer;
  for (size_t n = count; n-- > 0;)
    for (const int source : floats[n])
      if (core[n] && (trained[source] || !follows[n])) core[source] = true;
  from.resize(count);
  for (size_t n = 0; n < count; ++n)
    for (const int source : floats[n])
      if ((core[n] || trained[n]) && (core[source] || trained[source])) from[n].push_back(source);
}

}  // namespace roundel::structure
