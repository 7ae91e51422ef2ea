#pragma once
// The input of solvers for a layer: weight matrices, and sums (Gram matrices) over the unfolded
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
// and the taps of the kernel, [in][tap]; with blocks [tap][in], because every tap has its own
// scales. For a layer with one group it may be a subset of the rows.
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
  // The index into the weight tensor of an element of the matrix.
  int64_t Place(int64_t row, int64_t column) const {
    const int64_t in = layer.in_per_group, at = first_row + row;
    const int64_t tap = tap_major() ? column / in : column % layer.kernel;
    const int64_t input = tap_major() ? column % in : column / layer.kernel;
    return layer.Index(at / layer.out_per_group, at % layer.out_per_group, input, tap);
  }
  bool transposed() const { return layer.node->Is("ConvTranspose"); }
};
// Sizes and grid, without weights. nullopt, with the reason in `why`, if the channels or blocks of
// the encoding are not rows or blocks of columns.
std::optional<UnfoldedLayer> Outline(const graph::Graph& graph, const graph::WeightedLayer& layer,
                                     const quant::Encoding& encoding, std::string* why);
// The same with its weights.
UnfoldedLayer Unfold(const graph::Graph& graph, UnfoldedLayer outline);
// Rows [first, first + count) of an outline with one group, with their weights.
UnfoldedLayer UnfoldRows(const graph::Graph& graph, UnfoldedLayer outline, int64_t first,
                         int64_t count);

// Converts scales and zero points between the order of an Encoding and that of a Solution.
solver::Params ParamsOf(const UnfoldedLayer& layer, const quant::Encoding& encoding);
// An encoding with the codes and params of `solution`, frozen.
void StoreSolution(const UnfoldedLayer& layer, const solver::Solution& solution,
                   quant::Encoding* encoding);

struct StatisticsOptions {
  // Number of columns per input of the layer, spread evenly over samples and positions;
  // at least kMinColumns, or all columns if these are fewer. Wide layers use half as
  // many.
  int64_t columns_per_input = 256;
  double held_out = 0.2;          // share of the samples for judging solutions
  bool reference_inputs = false;  // inputs of both sides come from the float model
  uint64_t seed = 0;
  int64_t memory_bytes = int64_t{1500} << 20;  // memory limit of solving one layer
  int64_t max_columns = 0;                     // of all samples; limits stored columns. 0: no limit
};
// Sums; or the columns themselves, for wide layers with few columns (solver/low_rank.h).
struct LayerStatistics {
  std::vector<solver::Gram> train,
      held_out;  // by group; held_out is empty without held-out samples
  std::vector<solver::Columns> train_columns, held_out_columns;  // instead, likewise
  int64_t columns = 0;                                           // in train, of one group

  bool apart() const { return !train_columns.empty(); }
};
// The memory for solving the layer on sums (`apart` false), or on `columns` stored columns.
int64_t SolvingBytes(const UnfoldedLayer& layer, bool apart, int64_t columns = 0);
// Number of rows that are solved together on stored columns, within the memory limit.
int64_t RowsAtOnce(const UnfoldedLayer& layer, const StatisticsOptions& options);
// The least memory of the two ways.
int64_t LeastBytes(const UnfoldedLayer& layer);
// Whether columns are stored instead of sums: if there are few columns, or, with `only_if_needed`,
// if the sums exceed the memory limit.
Result<bool> StoresColumns(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
                           const StatisticsOptions& options, bool only_if_needed);
// `layer`: with weights for sums, without weights for stored columns.
Result<LayerStatistics> Gather(const UnfoldedLayer& layer, const walk::LayerInputs& inputs,
                               const StatisticsOptions& options);

}  // namespace roundel::layers
