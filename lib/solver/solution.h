#pragma once
// The grid that weights are rounded to, and what every solver returns.
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
  // block of `block_size` neighbouring columns, the last of which may be shorter.
  quant::Granularity granularity = quant::Granularity::kChannel;
  int64_t block_size = 0;
  // Symmetric grids with one code more below zero: scales may be negative, so that the extra code
  // serves whichever side needs it. Only consumers that multiply by the scale can read that.
  bool signed_scale = false;

  int64_t ColumnsPerBlock(int64_t n) const;  // n unless kBlock
  int64_t Blocks(int64_t n) const;           // params per row; 1 unless kBlock
  // Index into Solution::params of a weight, and how many there are.
  size_t ParamIndex(int64_t row, int64_t column, int64_t n) const;
  size_t NumParams(int64_t rows, int64_t n) const;
};

int64_t NumRows(Layer layer);  // of all groups
bool IsLowRank(Layer layer);   // its problems hold LowRank instead of H

// kUsage with one line if the layer cannot be solved on this grid (bits, block size, groups that
// differ). Solvers take it for granted.
Status CheckSpec(Layer layer, const GridSpec& spec);

struct Solution {
  int64_t rows = 0, n = 0;
  std::vector<int32_t> codes;  // [rows, n], within [qmin, qmax]
  Params params;               // 1 | rows | [rows, blocks]
  // [rows] (w^ - w*)^T H (w^ - w*) of the weights as a consumer sees them, w^ = (q - zp) * scale in
  // float32.
  std::vector<double> errors;

  double error() const;  // sum over rows
};

// [rows, n] as a consumer sees the codes.
std::vector<float> Dequantize(const Solution& solution, const GridSpec& spec);
// Fills `errors` from codes and params. Every solver does so itself.
void Score(Layer layer, const GridSpec& spec, Solution* solution);

// Row by row (kTensor: all or nothing) what is better: replaces rows of `best` by those of `other`
// where other_errors < best_errors, both [rows]; returns the number of rows replaced.
int64_t KeepBetterRows(const GridSpec& spec, const Solution& other,
                       std::span<const double> other_errors, std::span<const double> best_errors,
                       Solution* best);

// OutputErrors of all rows of a layer, one Objective per group: to choose between solutions on
// held-out data, and to report. Divide the sum by the sum of all f for a relative error.
std::vector<double> OutputErrors(std::span<const Objective> objectives, const Solution& solution,
                                 const GridSpec& spec);

}  // namespace roundel::solver
