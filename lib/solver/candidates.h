#pragma once
// The candidate scales and zero points of searches: those of the range of the original weights,
// times ratios.

#include <vector>

#include "lib/solver/solution.h"

namespace roundel::solver {

// The range of the weights that share one scale: of a row, a block of a row, or the whole layer.
struct WeightRange {
  float min = 0, max = 0;  // includes 0
  void Include(const float* values, int64_t n);
};

// One candidate: the range times `ratio`, the zero point moved by `shift` (asymmetric grids), the
// scale negated if `negative` (signed scales).
struct Candidate {
  double ratio = 1;
  int32_t shift = 0;
  bool negative = false;
};

quant::QParams CandidateParams(const WeightRange& range, const GridSpec& spec, const Candidate& c);

// One range per entry of Solution::params.
std::vector<WeightRange> RangesOf(Layer layer, const GridSpec& spec);

// Ratios k / count for k = 1 .. count.
std::vector<Candidate> EvenCandidates(int count);
// `count` ratios over the plausible interval for the bit width, with both signs for signed
// scales.
std::vector<Candidate> CoarseCandidates(const GridSpec& spec, int count);
// Ratios around the best coarse candidate; `step` is the ratio of adjacent coarse candidates.
std::vector<Candidate> FineCandidates(const GridSpec& spec, const Candidate& best, double step,
                                      int count);
// Ratio of adjacent candidates in CoarseCandidates.
double CoarseStep(const GridSpec& spec, int count);

}  // namespace roundel::solver
