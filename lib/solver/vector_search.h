#pragma once
// Scales and codes of a whole layer, in batches of vector lanes. Shared by rounding to nearest and
// LDLQ, which differ only in the feedback of errors.

#include <vector>

#include "lib/solver/candidates.h"
#include "lib/solver/factor.h"

namespace roundel::solver {

using Factors = std::vector<Factor>;  // one per group

// Blocks of columns, if the grid has any, stay contiguous.
Factors MakeFactors(Layer layer, const GridSpec& spec, Order order);

struct Search {
  bool feedback = true;
  std::vector<Candidate> coarse;
  double step = 1;  // ratio of adjacent coarse candidates
  int fine = 0;     // number of ratios tried around the best coarse one
};

// The search of LDLQ with these options.
Search LdlqSearch(Layer layer, const GridSpec& spec, const LdlqScaleOptions& options);

// kTensor and kChannel: for each scale, the candidate with the least error over all columns; the
// first one of equals.
Params SearchScales(Layer layer, const GridSpec& spec, const Factors& factors,
                    const Search& search);
// kBlock: block after block in the factors' order, which keeps them together. Returns codes too.
Solution SearchBlocks(Layer layer, const GridSpec& spec, const Factors& factors,
                      const Search& search);
// Codes for given scales and zero points, any granularity.
Solution RoundVectorLanes(Layer layer, const GridSpec& spec, const Factors& factors,
                          const Params& params, bool feedback);

}  // namespace roundel::solver
