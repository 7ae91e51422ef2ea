#include "lib/structure/shape_of_region.h"

#include <algorithm>

#include "lib/graph/operators.h"

namespace roundel::structure {

using graph::Fact;
using graph::Node;

Ending EndingOf(const Flow& flow, const Regions& regions, const Region& region) {
  if (region.children > 1) return Ending::kJoin;
  const int last = regions.order[region.end - 1];
  if (region.end - region.begin < 2 || flow.from[last].size() < 2) return Ending::kPlain;
  const Node& node = *flow.nodes[last];
  const bool broadcasts = graph::Has(node, Fact::kBroadcasts);
  if (node.Is("Mul") || node.Is("Div")) return Ending::kGate;
  if (broadcasts ? graph::Has(node, Fact::kLinear) && !graph::Has(node, Fact::kBounds)
                 : !graph::Has(node, Fact::kMoves | Fact::kLayer))
    return Ending::kResidual;
  return Ending::kJoin;
}

int64_t CountLayers(const Flow& flow, const Regions& regions, const Region& region) {
  return std::count_if(regions.order.begin() + static_cast<std::ptrdiff_t>(region.begin),
                       regions.order.begin() + static_cast<std::ptrdiff_t>(region.end),
                       [&](int node) { return flow.layer[node]; });
}

namespace {
bool Reduces(const Node& node) {
  const graph::OperatorRow* row = graph::FindOperator(node.domain, node.op_type);
  return row && row->samples == graph::Samples::kReduces;
}
}  // namespace

bool PoolsAll(const Flow& flow, const Regions& regions, const Region& region) {
  for (size_t i = region.begin; i < region.end; ++i) {
    const Node& node = *flow.nodes[regions.order[i]];
    if (node.Is("GlobalAveragePool") || node.Is("GlobalMaxPool") || Reduces(node)) return true;
  }
  return false;
}

bool HasActivation(const Flow& flow, const Regions& regions, const Region& region) {
  for (size_t i = region.end; i-- > region.begin;) {
    const int n = regions.order[i];
    const Node& node = *flow.nodes[n];
    if (flow.layer[n]) break;
    const bool with_constant = graph::Has(node, Fact::kBroadcasts) && flow.from[n].size() < 2 &&
                               !graph::Has(node, Fact::kBounds);
    if (!with_constant && !Reduces(node) &&
        !graph::Has(node, Fact::kMoves | Fact::kLocal | Fact::kKeepsRanking | Fact::kSampledAsIs))
      return true;
  }
  return false;
}

}  // namespace roundel::structure
