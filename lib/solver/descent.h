#pragma once
// Polishing: improves a solution in place and never makes a row worse (kTensor: the sum of rows).

#include "lib/solver/solution.h"

namespace roundel::solver {

// Coordinate descent over all levels of one code at a time, until nothing changes or `sweeps` are
// over.
void CoordinateDescent(Layer layer, const GridSpec& spec, Solution* solution, int sweeps = 20);

// Moves of two codes by one step each look at all pairs up to so many columns; above, at each column with
// the 32 that are most correlated with it.
inline constexpr int64_t kAllPairs = 1400;

// The best scales for the codes as they are, in closed form: s = x^T H w* / x^T H x with x = q -
// zp; with a zero point, the best offset too, rounded to the grid. Blocks one after another.
void RefitScales(Layer layer, const GridSpec& spec, Solution* solution);

struct PolishOptions {
  int rounds = 4;     // of descent and refit
  bool pairs = true;  // pair moves too
};
// All of the above in turns until nothing gets better.
void Polish(Layer layer, const GridSpec& spec, Solution* solution,
            const PolishOptions& options = {});

}  // namespace roundel::solver
