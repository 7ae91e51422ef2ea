#include "lib/base/vectorize.h"
ROUNDEL_FAST_LOOPS

#include "lib/solver/scales.h"

#include <algorithm>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/solver/levels.h"
#include "lib/solver/vector_search.h"

namespace roundel::solver {

using quant::Granularity;

namespace {

// Columns [begin, begin + columns) of a group, with their diagonal block of H.
Problem BlockOf(const Problem& p, int64_t begin, int64_t columns) {
  Problem block{.m = p.m, .n = columns};
  if (p.low_rank.used()) block.H = p.low_rank.Block(begin, columns);
  for (int64_t i = begin; i < begin + columns && !p.low_rank.used(); ++i)
    block.H.insert(block.H.end(), p.H.begin() + i * p.n + begin,
                   p.H.begin() + i * p.n + begin + columns);
  for (int64_t o = 0; o < p.m; ++o) {
    const auto from = o * p.n + begin, to = from + columns;
    block.target.insert(block.target.end(), p.target.begin() + from, p.target.begin() + to);
    block.w.insert(block.w.end(), p.w.begin() + from, p.w.begin() + to);
  }
  return block;
}

Params SearchNearest(Layer layer, const GridSpec& spec, int candidates) {
  const Search search{.feedback = false, .coarse = EvenCandidates(candidates)};
  return SearchScales(layer, spec, MakeFactors(layer, spec, Order::kNatural), search);
}

}  // namespace

Params MinMaxScales(Layer layer, const GridSpec& spec) {
  Params params;
  for (const WeightRange& range : RangesOf(layer, spec))
    params.push_back(CandidateParams(range, spec, {}));
  return params;
}

Params SeqMseScales(Layer layer, const GridSpec& spec, int candidates) {
  if (spec.granularity != Granularity::kBlock) return SearchNearest(layer, spec, candidates);
  const int64_t rows = NumRows(layer), n = layer.empty() ? 0 : layer[0].n;
  GridSpec channel = spec;
  channel.granularity = Granularity::kChannel;
  Params params(spec.NumParams(rows, n));
  for (int64_t j = 0; j < n; j += spec.block_size) {
    std::vector<Problem> blocks;
    for (const Problem& group : layer)
      blocks.push_back(BlockOf(group, j, std::min(spec.block_size, n - j)));
    const Params of_block = SearchNearest(blocks, channel, candidates);
    for (int64_t row = 0; row < rows; ++row) params[spec.ParamIndex(row, j, n)] = of_block[row];
  }
  return params;
}

}  // namespace roundel::solver
