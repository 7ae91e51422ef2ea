#pragma once
// Layers and their data as the solvers see them: matrices of weights, sums over the unfolded inputs.

#include <optional>
#include <string>
#include <vector>

#include "lib/engine/layer_walk.h"
#include "lib/graph/layer.h"
#include "lib/solver/gram.h"
#include "lib/solver/solution.h"

namespace roundel::passes {

// A layer's weight as [groups * m, n]: rows are output channels, columns the inputs of the group and
// the taps of the kernel, [in][tap]; with blocks [tap][in], because every tap has scales of its own.
struct UnfoldedLayer {
  graph::WeightedLayer layer;
  Shape weight_shape;
  int64_t groups = 1, m = 0, n = 0;
  std::vector<int64_t> place;              // [groups * m * n] of each element in the weight tensor
  std::vector<std::vector<float>> weight;  // by group, [m, n]
  solver::GridSpec spec;
  bool tap_major() const {
    return layer.kernel > 1 && spec.granularity == quant::Granularity::kBlock;
  }
  int64_t Column(int64_t input, int64_t tap) const {
    return tap_major() ? tap * layer.in_per_group + input : input * layer.kernel + tap;
  }
  bool transposed() const { return layer.node->Is("ConvTranspose"); }
};
// nullopt, with the reason in `why`, if the grid's channels or blocks do not follow rows and columns.
std::optional<UnfoldedLayer> Unfold(const graph::Graph& graph, const graph::WeightedLayer& layer,
                                    const quant::Encoding& encoding, std::string* why);

// Scales and zero points of an encoding in the order of a Solution's, and back.
solver::Params ParamsOf(const UnfoldedLayer& layer, const quant::Encoding& encoding);
// Codes and params of `solution`, frozen.
void StoreSolution(const UnfoldedLayer& layer, const solver::Solution& solution,
                   quant::Encoding* encoding);

struct StatisticsOptions {
  // Columns gathered for each input of the layer, spread evenly over samples and positions, at least
  // kLeastColumns; all there are where these are fewer. Wide layers make do with half as many.
  int64_t columns_per_input = 256;
  double held_out = 0.2;          // share of the samples that solutions are judged on
  bool reference_inputs = false;  // both sides of the layer see what the float model sees
  uint64_t seed = 0;
};
struct LayerStatistics {
  std::vector<solver::Gram> train,
      held_out;         // by group; held_out is empty without held-out samples
  int64_t columns = 0;  // in train, of one group
};
// What they take, both sides together.
int64_t StatisticsBytes(const UnfoldedLayer& layer);
Result<LayerStatistics> Gather(const UnfoldedLayer& layer, const engine::LayerInputs& inputs,
                               const StatisticsOptions& options);

}  // namespace roundel::passes
