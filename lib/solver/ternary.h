#pragma once
// Weights of three values {-s, 0, s} and of two {-s, s}, on the grid TernaryGrid(): codes -1, 0, 1.
// Scales per tensor, row or block.

#include "lib/solver/solution.h"

namespace roundel::solver {

quant::Grid TernaryGrid();

enum class TernaryMethod {
  kAbsMean,       // s = mean |w|, nearest code (BitNet b1.58)
  kLeastSquares,  // least ||w - w^||^2, exactly, by sorting (the optimum that TWN approximates)
  kOutput,        // the best start under H, then Polish
};

// `spec.grid` is TernaryGrid().
Solution Ternary(Layer layer, const GridSpec& spec, TernaryMethod method);

enum class BinaryMethod {
  kAbsMean,  // s = mean |w|, sign of w, 0 counts as positive (XNOR-Net): the least-squares optimum
  kOutput,   // single flips and refits of s until the error of the output falls no more
};

// Codes are -1 and 1 on TernaryGrid().
Solution Binary(Layer layer, const GridSpec& spec, BinaryMethod method);

}  // namespace roundel::solver
