#pragma once
// GPTQ in the form of LDLQ (Chee et al., QuIP, 2023; equal to Babai's nearest plane): columns are
// rounded one after another, each to the best value given the errors so far.
//
//   H = (I+S) T (I+S)^T, S strictly upper triangular, T diagonal, in the chosen order of columns
//   v_j = w*_j + sum_{k<j} (w*_k - w^_k) S_kj,   w^_j = nearest(v_j)
//   error = sum_j T_j (v_j - w^_j)^2, exactly
//
// Rows of the layer (and candidate scales) are vector lanes of one loop. Cost: n^3/3 for the
// factor, m n^2 per solve.

#include "lib/solver/solution.h"

namespace roundel::solver {

enum class Order {
  kNatural,
  kActivation,  // falling diag(H): "act-order"
  kReversed,
};

struct LdlqOptions {
  Order order = Order::kActivation;
};

// Codes for given scales and zero points. Those of blocks are fixed, so that any order is allowed.
Solution Ldlq(Layer layer, const GridSpec& spec, const Params& params,
              const LdlqOptions& options = {});

struct LdlqScaleOptions {
  Order order = Order::kActivation;
  // Number of ratios of the range that are tried first, and then around the best of these. 0:
  // chosen by the size of the problem.
  int coarse = 0, fine = 0;
};

// Scales, zero points and codes together: each candidate scale is judged by the error that LDLQ
// reaches with it. kBlock: blocks stay contiguous (ordered by their mean diagonal, columns inside
// by theirs). Each block in turn chooses among the candidates, on targets that include the errors
// so far.
Solution LdlqWithScales(Layer layer, const GridSpec& spec, const LdlqScaleOptions& options = {});

}  // namespace roundel::solver
