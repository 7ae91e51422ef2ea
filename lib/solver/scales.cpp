#include "lib/base/vectorize.h"
ROUNDEL_FAST_LOOPS

#include "lib/solver/scales.h"

#include <algorithm>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/solver/lane_search.h"
#include "lib/solver/levels.h"

namespace roundel::solver {

using quant::Granularity;

namespace {

ROUNDEL_VECTORIZE_FUSED
double SquaredError(const float* w, int64_t n, float scale, float low, float high) {
  double sum = 0;
  for (int64_t begin = 0; begin < n; begin += 64) {
    float lanes[16] = {};
    const int64_t end = std::min(n, begin + 64);
    int64_t j = begin;
    for (; j + 16 <= end; j += 16)
      for (int64_t l = 0; l < 16; ++l) {
        float x = __builtin_nearbyintf(w[j + l] / scale);
        x = x > low ? x : low;
        x = x < high ? x : high;
        const float error = w[j + l] - x * scale;
        lanes[l] += error * error;
      }
    for (; j < end; ++j) {
      const float error = w[j] - NearestLevel(w[j], {scale, low, high}) * scale;
      lanes[0] += error * error;
    }
    for (const float lane : lanes) sum += lane;
  }
  return sum;
}

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

Params WeightMseScales(Layer layer, const GridSpec& spec, int candidates) {
  const std::vector<Candidate> list = EvenCandidates(candidates);
  const std::vector<WeightRange> ranges = RangesOf(layer, spec);
  const int64_t rows = NumRows(layer), n = layer.empty() ? 0 : layer[0].n;
  const int64_t blocks = spec.Blocks(n), columns = spec.ColumnsPerBlock(n);
  const size_t count = list.size();
  // [row, block, candidate]
  std::vector<double> errors(static_cast<size_t>(rows * blocks) * count);
  ParallelFor(rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t j = 0; j < n; j += columns) {
        const WeightRange& range = ranges[spec.ParamIndex(row, j, n)];
        const float* w = layer[row / layer[0].m].w.data() + row % layer[0].m * n + j;
        double* error = errors.data() + static_cast<size_t>(row * blocks + j / columns) * count;
        for (size_t c = 0; c < count; ++c) {
          const Levels levels = LevelsOf(CandidateParams(range, spec, list[c]), spec.grid);
          error[c] =
              SquaredError(w, std::min(columns, n - j), levels.scale, levels.low, levels.high);
        }
      }
  });
  if (spec.granularity == Granularity::kTensor)
    for (size_t i = count; i < errors.size(); ++i) errors[i % count] += errors[i];
  Params params;
  for (size_t i = 0; i < ranges.size(); ++i) {
    const auto* first = errors.data() + i * count;
    const size_t best = errors.empty()
                            ? count - 1
                            : static_cast<size_t>(std::min_element(first, first + count) - first);
    params.push_back(CandidateParams(ranges[i], spec, list[best]));
  }
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
