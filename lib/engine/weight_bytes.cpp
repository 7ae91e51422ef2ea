#include "lib/engine/weight_bytes.h"

namespace roundel::engine {

int64_t WeightBytes(const graph::Graph& graph) {
  int64_t bytes = 0;
  for (const graph::Initializer& initializer : graph.initializers())
    bytes += initializer.value.byte_size();
  for (const graph::NodePtr& node : graph.nodes())
    graph::ForEachSubgraph(*node,
                           [&](const graph::Graph& nested) { bytes += WeightBytes(nested); });
  return bytes;
}

}  // namespace roundel::engine
