#include "lib/solver/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace roundel::solver {
namespace {

// From strong clipping to slightly more than the range. Strong clipping suits grids with few
// levels, and one scale for rows with very different magnitudes.
double LowestRatio(const GridSpec& spec) {
  if (spec.granularity == quant::Granularity::kTensor) return 0.03;
  return spec.grid.bits <= 3 ? 0.1 : spec.grid.bits <= 4 ? 0.2 : 0.35;
}
constexpr double kHighestRatio = 1.05;

}  // namespace

void WeightRange::Include(const float* values, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    min = std::min(min, values[i]);
    max = std::max(max, values[i]);
  }
}

quant::QParams CandidateParams(const WeightRange& range, const GridSpec& spec, const Candidate& c) {
  if (spec.signed_scale) {
    // The extreme weight takes the lowest code, which has no positive counterpart.
    const double extreme = -range.min > range.max ? -double{range.min} : -double{range.max};
    const double scale = c.ratio * (c.negative ? -extreme : extreme) / -spec.grid.qmin();
    const bool usable = std::fabs(scale) >= std::numeric_limits<float>::min();
    return {usable ? static_cast<float>(scale) : 1.0f, 0};
  }
  quant::QParams params =
      quant::ParamsFromRange(c.ratio * range.min, c.ratio * range.max, spec.grid);
  if (!spec.grid.symmetric)
    params.zero_point = std::clamp(params.zero_point + c.shift, spec.grid.qmin(), spec.grid.qmax());
  return params;
}

std::vector<WeightRange> RangesOf(Layer layer, const GridSpec& spec) {
  const int64_t n = layer.empty() ? 0 : layer[0].n;
  std::vector<WeightRange> ranges(spec.NumParams(NumRows(layer), n));
  for (int64_t row = 0; row < NumRows(layer); ++row) {
    const Problem& p = layer[row / layer[0].m];
    const float* w = p.w.data() + row % p.m * n;
    for (int64_t j = 0; j < n; j += spec.ColumnsPerBlock(n))
      ranges[spec.ParamIndex(row, j, n)].Include(w + j, std::min(spec.ColumnsPerBlock(n), n - j));
  }
  return ranges;
}

std::vector<Candidate> EvenCandidates(int count) {
  std::vector<Candidate> candidates;
  for (int k = 1; k <= count; ++k) candidates.push_back({.ratio = static_cast<double>(k) / count});
  return candidates;
}

double CoarseStep(const GridSpec& spec, int count) {
  return std::pow(LowestRatio(spec) / kHighestRatio, 1.0 / std::max(1, count - 1));
}

std::vector<Candidate> CoarseCandidates(const GridSpec& spec, int count) {
  std::vector<Candidate> candidates;
  for (const bool negative : {false, true}) {
    if (negative && !spec.signed_scale) break;
    for (int k = 0; k < count; ++k)
      candidates.push_back(
          {.ratio = kHighestRatio * std::pow(CoarseStep(spec, count), k), .negative = negative});
  }
  return candidates;
}

std::vector<Candidate> FineCandidates(const GridSpec& spec, const Candidate& best, double step,
                                      int count) {
  std::vector<Candidate> candidates;
  for (const int32_t shift : {0, -1, 1}) {
    if (shift != 0 && spec.grid.symmetric) break;
    for (int k = 0; k < count; ++k) {
      // Strictly between the neighbors of the best one; the middle of an odd number is already
      // known.
      if (shift == 0 && 2 * k + 1 == count) continue;
      const double exponent = 2.0 * (k + 1) / (count + 1) - 1;
      candidates.push_back(
          {best.ratio * std::pow(step, exponent), best.shift + shift, best.negative});
    }
  }
  return candidates;
}

}  // namespace roundel::solver
