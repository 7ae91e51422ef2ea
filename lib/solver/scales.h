#pragma once
// Scales (and zero points) under rounding to nearest. The result has the layout of
// Solution::params. The search that has GPTQ in mind is in ldlq.h.

#include "lib/solver/solution.h"

namespace roundel::solver {

// The range of the original weights.
Params MinMaxScales(Layer layer, const GridSpec& spec);

// Of `candidates` ratios (1..candidates)/candidates of the range, minimum and maximum alike, those with
// the least error of the layer's output, (w^ - w*)^T H (w^ - w*): SeqMSE with the data summed up in H. Blocks are scored one by one with their diagonal block of H, as
// AIMET does.
Params SeqMseScales(Layer layer, const GridSpec& spec, int candidates = 20);

// The exact optimum: every scale at which some code changes is visited in turn and the error of the
// codes in between is minimised in closed form over the scale (after PiSO, arXiv 2606.10890, with a
// dense H). kChannel, symmetric grids and up to 4 bits; any other spec gets SeqMseScales with 100
// candidates. Scales below `lowest` times that of the range are not looked at. Returns codes too:
// at the refitted scale they need not be the nearest ones any more. Cost: O(n) per change of a
// code, about n 2^(bits-1) changes per row.
Solution ExactScales(Layer layer, const GridSpec& spec, double lowest = 0.15);

}  // namespace roundel::solver
