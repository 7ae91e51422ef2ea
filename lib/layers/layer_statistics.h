#pragma once
// Layers and their data as the solvers see them: matrices of weights, sums over the unfolded
// inputs.

#include <optional>
#include <string>
#include <vector>

#include "lib/graph/layer.h"
#include "lib/solver/gram.h"
#include "lib/solver/low_rank.h"
#include "lib/solver/solution.h"
#include "lib/walk/layer_walk.h"

namespace roundel::layers {

// A layer's weight as [groups * m, n]: rows are output channels, columns the inputs of the group
// and the taps of the kernel, [in][tap]; with blocks [tap][in], because every tap has scales of its
// own. Of a layer with one group it may be some of the rows.
struct UnfoldedLayer {
  graph::WeightedLayer layer;
  Shape weight_shape;
  int64_t groups = 1, m = 0, n = 0;
  int64_t first_row = 0;
  std::vector<std::vector<float>> weight;  // by group, [m, n]; empty before Unfold
  solver::GridSpec spec;

  int64_t rows() const { return groups * m; }
  bool tap_major() const {
    return layer.kernel > 1 && spec.granularity == quant::Granularity::kBlock;
  }
  int64_t Column(int64_t input, int64_t tap) const {
    return tap_major() ? tap * layer.in_per_group + input : input * layer.kernel + tap;
  }
  // Where the element of a row and a column stands in the weight tensor.
  int64_t Place(int64_t row, int64_t column) const {
    const int64_t in = layer.in_per_group, at = first_row + row;
    const int64_t tap = tap_major() ? column / in : column % layer.kernel;
    const int64_t input = tap_major() ? column % in : column / layer.kernel;
    return layer.Index(at / layer.out_per_group, at % layer.out_per_group, input, tap);
  }
  bool transposed() const { return layer.node->Is("ConvTranspose"); }
};
// Sizes and grid, without the weights. nullopt, with the reason in `why`, if the grid's channels or
// blocks do not follow rows and columns.
std::optional<UnfoldedLayer> Outline(const graph::Graph& graph, const graph::WeightedLayer& layer,
                                     const quant::Encoding& encoding, std::string* why);
// The same with its weights.
UnfoldedLayer Unfold(const graph::Graph& graph, UnfoldedLayer outline);
// Rows [first, first + count) of an outline with one group, with their weights.
UnfoldedLayer UnfoldRows(const graph::Graph& graph, UnfoldedLayer outline, int64_t first,
                         int64_t count);

// Scales and zero points of an encoding in the order of a Solution's, and back.
solver::Params ParamsOf(const UnfoldedLayer& layer, const quant::Encoding& encoding);
// Codes and params of `solution`, frozen.
void StoreSolution(const UnfoldedLayer& layer, const solver::Solution& solution,
                   quant::Encoding* encoding);

struct StatisticsOptions {
  // Columns gathered for each input of the layer, spread evenly over samples and positions, at
  // least kLeastColumns; all there are where these are fewer. Wide layers make do with half as
  // many.
  int64_t columns_per_input = 256;
  double held_out = 0.2;          // share of the samples that solutions are judged on
  bool reference_inputs = false;  // both sides of the layer see what the float model sees
  uint64_t seed = 0;
  int64_t memory_bytes = int64_t{1500} << 20;  // that solving one layer may take
  int64_t max_columns = 0;  // of all samples; set by whoever has to keep them apart. 0: any number
};
// Sums, or for wide layers with few columns the columns themselves (solver/low_rank.h).
struct LayerStatistics {
  std::vector<solver::Gram> train,
      held_out;  // by group; held_out is empty without held-out samples
  std::vector<solver::Columns> train_columns, held_out_columns;  // instead, likewise
  int64_t columns = 0;                                           // in train, of one group

  bool apart() const { return !train_columns.empty(); }
};
// What solving the layer takes on sums (`apart` false), or on so many columns kept apart.
int64_t SolvingBytes(const UnfoldedLayer& layer, bool apart, int64_t columns = 0);
// Rows that are solved together on columns kept apart, within the memory.
int64_t RowsAtOnce(const UnfoldedLayer& layer, const StatisticsOptions& options);
// The least that is needed, whichever way is taken.
int64_t LeastBytes(const UnfoldedLayer& layer);
// Whether columns are kept apart: where there are few of them, or `only_if_needed` where the sums
// do not fit into the memory.
Result<bool> KeepsApart(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
                        const StatisticsOptions& options, bool only_if_needed);
// `layer`: with its weights for sums, without them for columns kept apart.
Result<LayerStatistics> Gather(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
                               const StatisticsOptions& options);

}  // namespace roundel::layers
