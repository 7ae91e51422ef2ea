#include "lib/solver/ldlq.h"

#include "lib/solver/vector_search.h"

namespace roundel::solver {

using quant::Granularity;

Solution Ldlq(Layer layer, const GridSpec& spec, const Params& params, const LdlqOptions& options) {
  // Scales are already fixed: the order may separate columns of a block.
  GridSpec whole = spec;
  whole.granularity = Granularity::kChannel;
  return RoundVectorLanes(layer, spec, MakeFactors(layer, whole, options.order), params, true);
}

Search LdlqSearch(Layer layer, const GridSpec& spec, const LdlqScaleOptions& options) {
  const int64_t n = layer.empty() ? 0 : layer[0].n;
  // The search costs (coarse + fine) m n^2.
  int coarse = options.coarse > 0 ? options.coarse : n <= 512 ? 24 : n <= 2048 ? 16 : 10;
  if (spec.granularity == Granularity::kTensor) coarse *= 2;  // over a wider range
  const int fine = options.coarse > 0 ? options.fine : n <= 512 ? 9 : n <= 2048 ? 7 : 5;
  return {.feedback = true,
          .coarse = CoarseCandidates(spec, coarse),
          .step = CoarseStep(spec, coarse),
          .fine = fine};
}

Solution LdlqWithScales(Layer layer, const GridSpec& spec, const LdlqScaleOptions& options) {
  const Factors factors = MakeFactors(layer, spec, options.order);
  const Search search = LdlqSearch(layer, spec, options);
  if (spec.granularity == Granularity::kBlock) return SearchBlocks(layer, spec, factors, search);
  return RoundVectorLanes(layer, spec, factors, SearchScales(layer, spec, factors, search), true);
}

}  // namespace roundel::solver
