#pragma once
// What the steps share that solve one layer after the other.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/graph/bodies.h"
#include "lib/layers/layer_store.h"
#include "lib/layers/layerwise.h"
#include "lib/session/session.h"

namespace roundel::layers {

struct SweepLayer {
  UnfoldedLayer outline;  // unfolded while it is solved
  LayerStore::Keys keys;
  bool solved_before = false, statistics_before = false;  // the store has them
  std::optional<size_t> first;  // the layer at which shared weights are solved, if not at this one
  bool elsewhere = false;       // another process works on it (LayerPart)
};

struct LayerSweep {
  struct Declined {
    const graph::Node* node;
    std::string weight, why;
  };

  Session& session;
  const LayerwiseOptions& options;
  const SolveLayer& solve;
  StatisticsOptions statistics;  // options.statistics with the memory that is available
  LayerStore store = {};
  // Encodings that the walk applies: those of weights. Activations stay float: weights that
  // compensated the clipping of one activation range would distort all other values.
  quant::EncodingTable stream = {};
  std::vector<const graph::Node*> nodes = {};
  std::vector<SweepLayer> layers = {};  // of `nodes`
  // With the nodes of sub-graphs; holds the nodes that are declined.
  const std::shared_ptr<graph::Graph> flat = graph::WithBodies(session.model);
  std::vector<Declined> declined = {};
  std::map<std::string, size_t> owners = {};          // weight -> the first layer that has it
  std::map<size_t, LayerStatistics> of_sharers = {};  // by first layer: sums of the others
  std::map<size_t, solver::Solution> shared = {};     // by first layer
  int64_t solved = 0, underdetermined = 0, apart = 0;
  double before = 0, after = 0;  // sums of relative errors
};

// How the sweep walks through the model's layers.
walk::WalkOptions WalkOptionsOf(const LayerSweep& s);

}  // namespace roundel::layers
