#pragma once
// The grid that weights are rounded to, and the result of every solver.
//
// A layer is a span of Problems, one per group of a grouped convolution, all of the same m and n.
// Its rows are numbered through the groups, row = group * m + o, so that `codes` has the memory
// layout of a weight [groups * m, n] with outputs first.

#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/status.h"
#include "lib/quant/encodings.h"
#include "lib/quant/grid.h"
#include "lib/solver/problem.h"

namespace roundel::solver {

using Layer = std::span<const Problem>;
using Params = std::vector<quant::QParams>;

struct GridSpec {
  quant::Grid grid;  // 2 to 16 bits; ternary is {2 bits, signed, symmetric, narrow}
  // kTensor: one scale for all rows of all groups. kChannel: one per row. kBlock: one per row and
  // block of `block_size` adjacent columns; the last block may be shorter.
  quant::Granularity granularity = quant::Granularity::kChannel;
  int64_t block_size = 0;
  // For symmetric grids with one more code below zero: scales may be negative, so that the extra
  // code serves the side that needs it. Requires consumers that multiply by the scale.
  bool signed_scale = false;

  int64_t ColumnsPerBlock(int64_t n) const;  // n unless kBlock
  int64_t Blocks(int64_t n) const;           // params per row; 1 unless kBlock
  // Index of a weight's scale in Solution::params, and number of scales.
  size_t ParamIndex(int64_t row, int64_t column, int64_t n) const;
  size_t NumParams(int64_t rows, int64_t n) const;
};

int64_t NumRows(Layer layer);  // of all groups
bool IsLowRank(Layer layer);   // its problems hold LowRank instead of H

// Errors: kUsage if the layer cannot be solved on this grid (bits, block_size, unequal groups).
// Solvers require that this check has passed.
Status CheckSpec(Layer layer, const GridSpec& spec);

struct Solution {
  int64_t rows = 0, n = 0;
  std::vector<int32_t> codes;  // [rows, n], within [qmin, qmax]
  Params params;               // 1 | rows | [rows, blocks]
  // [rows] (w^ - w*)^T H (w^ - w*) of the weights that a consumer computes, w^ = (q - zp) * scale
  // in float32.
  std::vector<double> errors;

  double error() const;  // sum over rows
};

// [rows, n] weights that a consumer computes from the codes.
std::vector<float> Dequantize(const Solution& solution, const GridSpec& spec);
// Fills `errors` from codes and params. Every solver does so itself.
void Score(Layer layer, const GridSpec& spec, Solution* solution);

// Keeps the better solution of each row (kTensor: of the layer): replaces rows of `best` by those
// of `other` where other_errors < best_errors, both [rows]. Returns the number of replaced rows.
int64_t KeepBetterRows(const GridSpec& spec, const Solution& other,
                       std::span<const double> other_errors, std::span<const double> best_errors,
                       Solution* best);

// OutputErrors of all rows of a layer, one Objective per group: to choose between solutions on
// held-out data, and to report. Divide the sum by the sum of all f for a relative error.
std::vector<double> OutputErrors(std::span<const Objective> objectives, const Solution& solution,
                                 const GridSpec& spec);

}  // namespace roundel::solver
