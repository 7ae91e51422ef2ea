#pragma once
// Scales and codes of a whole layer by batches of lanes: shared by nearest rounding and LDLQ, which
// differ in whether errors are fed back.

#include <vector>

#include "lib/solver/candidates.h"
#include "lib/solver/factor.h"

namespace roundel::solver {

using Factors = std::vector<Factor>;  // one per group

// Blocks of columns stay together if the grid has any.
Factors MakeFactors(Layer layer, const GridSpec& spec, Order order);

struct Search {
  bool feedback = true;
  std::vector<Candidate> coarse;
  double step = 1;  // factor between neighbouring coarse ratios
  int fine = 0;     // ratios tried around the best coarse one
};

// The search that LDLQ makes with these options.
Search LdlqSearch(Layer layer, const GridSpec& spec, const LdlqScaleOptions& options);

// kTensor and kChannel: for each set of parameters, the candidate with the least error over all
// columns. The first of equals.
Params SearchScales(Layer layer, const GridSpec& spec, const Factors& factors,
                    const Search& search);
// kBlock: block after block in the factors' order, which keeps blocks together; codes too.
Solution SearchBlocks(Layer layer, const GridSpec& spec, const Factors& factors,
                      const Search& search);
// Codes for given parameters, any granularity.
Solution RoundLanes(Layer layer, const GridSpec& spec, const Factors& factors, const Params& params,
                    bool feedback);

}  // namespace roundel::solver
