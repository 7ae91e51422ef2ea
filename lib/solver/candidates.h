#pragma once
// The scales and zero points that searches try: the range of the original weights, shrunk by
// ratios.

#include <vector>

#include "lib/solver/solution.h"

namespace roundel::solver {

// What one set of parameters covers: a row, a block of a row, or the whole layer.
struct WeightRange {
  float min = 0, max = 0;  // holds 0
  void Include(const float* values, int64_t n);
};

// A point of a search: the range times `ratio`, the zero point moved by `shift` (asymmetric grids),
// the negative of the scale if `negative` (signed scales).
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
// `count` ratios over those that come into question for the width, with both signs for signed
// scales.
std::vector<Candidate> CoarseCandidates(const GridSpec& spec, int count);
// Around the best of the coarse ones, neighbours of which differ by the factor `step`.
std::vector<Candidate> FineCandidates(const GridSpec& spec, const Candidate& best, double step,
                                      int count);
// Ratio of neighbours in CoarseCandidates.
double CoarseStep(const GridSpec& spec, int count);

}  // namespace roundel::solver
