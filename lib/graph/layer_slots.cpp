#include "lib/graph/layer_slots.h"

#include <algorithm>

#include "lib/graph/layer.h"
#include "lib/graph/operators.h"

namespace roundel::graph {

std::optional<LayerSlots> FindLayerSlots(const Graph& graph, const Node& node, int64_t rank) {
  if (node.Is("Conv")) return LayerSlots{1, 2, 0, 1, 1};           // [C_out, C_in/group, k...]
  if (node.Is("ConvTranspose")) return LayerSlots{1, 2, 1, 0, 1};  // [C_in, C_out/group, k...]
  if (node.Is("MatMul")) {
    const int64_t last = rank - 1, before = std::max<int64_t>(0, rank - 2);
    if (WeightIndex(graph, node) == 0)
      return LayerSlots{0, std::nullopt, before, last, 1};  // [..., M, K]
    return LayerSlots{1, std::nullopt, last, before, 1};    // [..., K, N]
  }
  if (node.Is("Gemm")) {  // [K, N], or [N, K] if transB
    const bool transposed = node.Int("transB", 0) != 0;
    // y = alpha*x*w + beta*c
    const double factor = static_cast<double>(node.Float("alpha", 1)) / node.Float("beta", 1);
    return LayerSlots{1, 2, transposed ? 0 : 1, transposed ? 1 : 0, factor};
  }
  if (node.Is("Gather"))  // a table: [entries, width]
    return LayerSlots{0, std::nullopt, 0, std::max<int64_t>(0, rank - 1), 1};
  return std::nullopt;
}

std::vector<LayerSlots> FindWeightSlots(const Graph& graph, const Node& node, int64_t weight_rank) {
  if (node.Is("Attention", "com.microsoft")) return {LayerSlots{1, std::nullopt, 1, 0, 1}};
  if (Has(node, Fact::kRecurrent))
    return {LayerSlots{1, std::nullopt, 1, 2, 1}, LayerSlots{2, std::nullopt, 1, 2, 1}};
  const auto slots = FindLayerSlots(graph, node, weight_rank);
  return slots ? std::vector<LayerSlots>{*slots} : std::vector<LayerSlots>();
}

}  // namespace roundel::graph
