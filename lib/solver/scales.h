#pragma once
// Scales (and zero points) under rounding to nearest. The result has the layout of
// Solution::params. The scale search for GPTQ is in ldlq.h.

#include "lib/solver/solution.h"

namespace roundel::solver {

// Scales that cover the range of the original weights.
Params MinMaxScales(Layer layer, const GridSpec& spec);

// Of the ratios k/candidates, k = 1..candidates, of the range (minimum and maximum alike), the one
// with the least error of the layer's output, (w^ - w*)^T H (w^ - w*): SeqMSE on the Gram matrix.
// Blocks are scored one by one with their diagonal block of H, as in AIMET.
Params SeqMseScales(Layer layer, const GridSpec& spec, int candidates = 20);

// The exact optimum: visits every scale at which a code changes, and minimizes the error of the
// codes between two such scales in closed form over the scale (after PiSO, arXiv 2606.10890, with a
// dense H). kChannel, symmetric grids and up to 4 bits; any other spec gets SeqMseScales with 100
// candidates. Scales below `lowest` times that of the range are not tried. Returns codes too: at
// the refitted scale they need not be the nearest ones. Cost: O(n) per change of a code, about n
// 2^(bits-1) changes per row.
Solution ExactScales(Layer layer, const GridSpec& spec, double lowest = 0.15);

}  // namespace roundel::solver
