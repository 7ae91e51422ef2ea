#pragma once
// Polishing: improves a solution in place and never makes a row worse (kTensor: the sum of rows).

#include "lib/solver/solution.h"

namespace roundel::solver {

// Coordinate descent: each code in turn takes its best level, until nothing changes or for `sweeps`
// sweeps.
void CoordinateDescent(Layer layer, const GridSpec& spec, Solution* solution, int sweeps = 20);

// Pair moves change two codes by one step each. Up to this many columns all pairs are tried; above,
// each column with the 32 columns that are most correlated with it.
inline constexpr int64_t kAllPairs = 1400;

// The best scales for the present codes, in closed form: s = x^T H w* / x^T H x with x = q - zp. On
// grids with a zero point also the best offset, rounded to the grid. Blocks one after another.
void RefitScales(Layer layer, const GridSpec& spec, Solution* solution);

struct PolishOptions {
  int rounds = 4;     // of descent and refit
  bool pairs = true;  // pair moves too
};
// Alternates all of the above until nothing improves.
void Polish(Layer layer, const GridSpec& spec, Solution* solution,
            const PolishOptions& options = {});

}  // namespace roundel::solver
