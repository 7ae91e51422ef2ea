#include "lib/layers/shared_layers.h"

#include <algorithm>

namespace roundel::layers {

bool IsShared(const LayerSweep& s, const SweepLayer& layer) {
  return std::any_of(s.layers.begin(), s.layers.end(), [&](const SweepLayer& other) {
    return other.first && &s.layers[*other.first] == &layer;
  });
}

UnfoldedLayer Unfolded(const LayerSweep& s, const SweepLayer& layer) {
  return Unfold(*s.session.model.graph, layer.outline);
}

Result<LayerStatistics> GatherOf(const LayerSweep& s, const SweepLayer& layer,
                                 const walk::LayerInputs& inputs) {
  const bool shared = layer.first || IsShared(s, layer);
  ASSIGN_OR_RETURN(const bool apart, StoresColumns(layer.outline, inputs, s.statistics, shared));
  if (apart) return Gather(layer.outline, inputs, s.statistics);
  return Gather(Unfolded(s, layer), inputs, s.statistics);
}

void AddStatistics(LayerStatistics more, LayerStatistics* sum) {
  sum->columns += more.columns;
  const auto add = [&](auto side) {
    for (size_t g = 0; g < (more.*side).size(); ++g) {
      if (g < (sum->*side).size())
        (sum->*side)[g].Add((more.*side)[g]);
      else
        (sum->*side).push_back(std::move((more.*side)[g]));
    }
  };
  add(&LayerStatistics::train);
  add(&LayerStatistics::held_out);
  add(&LayerStatistics::train_columns);
  add(&LayerStatistics::held_out_columns);
}

Status GatherOfSharers(LayerSweep& s) {
  std::vector<const graph::Node*> nodes;
  std::vector<const SweepLayer*> sharers;
  for (size_t i = 0; i < s.layers.size(); ++i)
    if (s.layers[i].first && !s.layers[*s.layers[i].first].solved_before) {
      nodes.push_back(s.nodes[i]);
      sharers.push_back(&s.layers[i]);
    }
  if (nodes.empty()) return OkStatus();
  const quant::EncodingTable none;
  return walk::WalkLayers(s.session.model, none, nodes, *s.session.data, WalkOptionsOf(s),
                          [&](size_t i, const walk::LayerInputs* inputs) -> Result<std::string> {
                            ASSIGN_OR_RETURN(LayerStatistics gathered,
                                             GatherOf(s, *sharers[i], *inputs));
                            AddStatistics(std::move(gathered), &s.of_sharers[*sharers[i]->first]);
                            return nodes[i]->DisplayName();
                          });
}

}  // namespace roundel::layers
