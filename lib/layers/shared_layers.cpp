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
  // Sums of the store are those of the float model only with `reference_inputs`.
  const auto stored = [&s](const SweepLayer& layer) {
    return s.statistics.reference_inputs && layer.statistics_before;
  };
  const auto is_sharer = [&s](const SweepLayer& layer) {
    return layer.first && !layer.elsewhere && !s.layers[*layer.first].solved_before;
  };
  if (std::none_of(s.layers.begin(), s.layers.end(), is_sharer)) return OkStatus();
  // All layers are stops: values are rounded there, as in the sweep that solves the layers.
  walk::WalkOptions options = WalkOptionsOf(s);
  for (const SweepLayer& layer : s.layers)
    options.wanted.push_back(is_sharer(layer) && !stored(layer));
  const auto visit = [&](size_t i, const walk::LayerInputs* inputs) -> Result<std::string> {
    const SweepLayer& layer = s.layers[i];
    if (is_sharer(layer)) {
      ASSIGN_OR_RETURN(LayerStatistics sums, stored(layer)
                                                 ? s.store.ReadStatistics(layer.keys.statistics)
                                                 : GatherOf(s, layer, *inputs));
      AddStatistics(std::move(sums), &s.of_sharers[*layer.first]);
    }
    return s.nodes[i]->DisplayName();
  };
  const quant::EncodingTable none;
  return walk::WalkLayers(s.session.model, none, s.nodes, *s.session.data, options, visit);
}

}  // namespace roundel::layers
