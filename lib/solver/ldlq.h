#pragma once
// GPTQ in the form of LDLQ (Chee et al., QuIP, 2023; equal to Babai's nearest plane): columns are
// rounded one after another, each to the value that is best given the errors made so far.
//
//   H = (I+S) T (I+S)^T, S strictly upper triangular, T diagonal, in the chosen order of columns
//   v_j = w*_j + sum_{k<j} (w*_k - w^_k) S_kj,   w^_j = nearest(v_j)
//   error = sum_j T_j (v_j - w^_j)^2, exactly
//
// Rows of the layer (and candidate scales) are lanes of one vector loop. Cost: n^3/3 for the
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

// Codes for given parameters. Parameters of blocks are static: any order is allowed with them.
Solution Ldlq(Layer layer, const GridSpec& spec, const Params& params,
              const LdlqOptions& options = {});

struct LdlqScaleOptions {
  Order order = Order::kActivation;
  // Ratios of the range that are tried first, and around the best of them after that. 0: chosen by
  // the size of the problem.
  int coarse = 0, fine = 0;
};

// Parameters and codes together: each candidate scale is judged by the error that LDLQ reaches with
// it. kBlock: blocks are taken as wholes (ordered by their mean diagonal, columns inside by
// theirs); at its turn each block chooses among the candidates on targets that hold the errors made
// so far.
Solution LdlqWithScales(Layer layer, const GridSpec& spec, const LdlqScaleOptions& options = {});

}  // namespace roundel::solver
