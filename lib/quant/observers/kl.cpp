// kl: the range with the least Kullback-Leibler divergence of the distribution of the quantized
// values from that of the float values. After S. Migacz, 8-bit Inference with TensorRT, 2017:
//
//    P   the bins inside the range; the mass outside is added to the first and the last of them
//    Q   the bins inside, distributed over the levels of the grid; the mass of each level is spread
//        evenly over its bins that are not empty
//
// both normalized, with three changes:
//
//    - Exact zeros are omitted: the grid represents them exactly, and half of the values after a
//      Relu share the level of zero, which would make all candidates but the narrowest expensive.
//    - The bins are distributed as evenly as possible, for any number of bins. In the original the
//      last level gets the remainder.
//    - Any width and both ends: levels = qmax - qmin + 1, with 16 bins per level at full range.
//
// With M_c and n_c the mass of level c and the number of its bins that are not empty, P_c its mass
// including the mass from outside, K the mass inside, N the total mass,
//
//    N KL(P || Q) = sum over bins P ln P - sum over levels P_c ln(M_c / n_c) + N ln(K / N),
//
// so that a candidate costs one logarithm per level, with prefix sums over bins. A range with an
// empty end bin and values beyond it is not a candidate (the divergence is infinite).
//
// First the upper end is searched, with the lower end at the minimum, then the lower end, then the
// upper end again; each at up to 256 positions, because the divergence jumps from bin to bin, then
// bin by bin around the best. (Symmetric grids: bins of |x|, one end.) Bins are finer than the
// buckets of the histogram if values are large: buckets are spread evenly.

#include <algorithm>
#include <cmath>
#include <functional>

#include "lib/quant/observers/entropy.h"
#include "lib/quant/observers/methods.h"
#include "lib/quant/observers/search.h"

namespace roundel::quant {
namespace {

constexpr int kBinsPerLevel = 16, kMaxBins = 1 << 16, kScanned = 256;

class Divergence {
 public:
  Divergence(const std::vector<double>& bins, int levels)
      : bins_(bins), sums_(bins), levels_(levels), total_(sums_.mass.back()) {}

  int size() const { return static_cast<int>(bins_.size()); }
  int levels() const { return levels_; }

  // Divergence of bins [begin, end), times N, minus a constant. Requires at least one bin per
  // level.
  double Of(int begin, int end) const {
    const auto at = [](const auto& list, int i) { return list[static_cast<size_t>(i)]; };
    const double low = at(sums_.mass, begin), high = total_ - at(sums_.mass, end);
    const double first = at(bins_, begin), last = at(bins_, end - 1);
    const double kept = total_ - low - high;
    if (kept <= 0 || (low > 0 && first <= 0) || (high > 0 && last <= 0)) return HUGE_VAL;
    double divergence = at(sums_.entropy, end) - at(sums_.entropy, begin) + total_ * std::log(kept);
    divergence += PLogP(first + low) - PLogP(first) + PLogP(last + high) - PLogP(last);
    for (int cell = 0, from = begin; cell < levels_; ++cell) {
      const int to = begin + CellBegin(cell + 1, end - begin, levels_);
      const double mass = at(sums_.mass, to) - at(sums_.mass, from);
      const int filled = at(sums_.filled, to) - at(sums_.filled, from);
      const double tails = (cell == 0 ? low : 0) + (cell == levels_ - 1 ? high : 0);
      if (filled > 0) divergence -= (mass + tails) * std::log(mass / filled);
      from = to;
    }
    return divergence;
  }

 private:
  const std::vector<double>& bins_;
  BinSums sums_;
  int levels_;
  double total_;
};

// The position in [from, to] with the least cost; among equals the largest, which clips least.
int Search(int from, int to, const std::function<double(int)>& cost) {
  const int stride = std::max(1, (to - from) / kScanned);
  int best = to;
  double least = cost(to);
  const auto visit = [&](int i) {
    const double found = cost(i);
    if (!(found < least)) return;
    least = found;
    best = i;
  };
  for (int i = to - stride; i >= from; i -= stride) visit(i);
  for (int i = std::min(to, best + stride), end = std::max(from, best - stride); i >= end; --i)
    visit(i);
  return best;
}

class Kl : public Observer {
 public:
  StatisticsNeeds needs() const override { return {.histogram = true}; }

  Range Compute(const Evidence& evidence, const Grid& grid) const override {
    if (!grid.is_plain()) return LeastSquaredError(evidence, grid);
    const Range seen{std::min(0.0, evidence.seen.min), std::max(0.0, evidence.seen.max)};
    const int64_t levels = int64_t{grid.qmax()} - grid.qmin() + 1;
    const bool magnitudes = grid.symmetric;
    const int64_t cells = magnitudes ? levels / 2 : levels;
    // With as many levels as bins there is no loss inside, only by clipping.
    if (cells * 2 > kMaxBins || seen.min == seen.max) return evidence.seen;
    const int bins = static_cast<int>(std::min<int64_t>(kMaxBins, cells * kBinsPerLevel));
    if (magnitudes) {
      const double top = std::max(-seen.min, seen.max);
      auto masses = UniformMagnitudeBins(evidence.values, top, bins);
      masses[0] = std::max(0.0, masses[0] - evidence.values.zeros());
      const Divergence divergence(masses, static_cast<int>(cells));
      const int end =
          Search(static_cast<int>(cells), bins, [&](int i) { return divergence.Of(0, i); });
      return {-top * end / bins, top * end / bins};
    }
    const auto masses = UniformBins(evidence.values, seen.min, seen.max, bins, false);
    return TwoEnds(Divergence(masses, static_cast<int>(cells)), seen);
  }

 private:
  static Range TwoEnds(const Divergence& divergence, const Range& seen) {
    const int bins = divergence.size(), levels = divergence.levels();
    const double width = (seen.max - seen.min) / bins;
    // Zero stays inside.
    const int zero = std::clamp(static_cast<int>(-seen.min / width), 0, bins);
    int begin = 0, end = bins;
    const auto upper = [&] {
      end = Search(std::max(begin + levels, std::min(bins, zero + 1)), bins,
                   [&](int i) { return divergence.Of(begin, i); });
    };
    const auto lower = [&] {
      const int last = std::min(end - levels, zero);
      if (last > 0)
        begin = last - Search(0, last, [&](int i) { return divergence.Of(last - i, end); });
    };
    upper();
    lower();
    if (begin > 0) upper();
    return {begin == 0 ? seen.min : seen.min + begin * width,
            end == bins ? seen.max : seen.min + end * width};
  }
};

}  // namespace

std::unique_ptr<Observer> MakeKl(const MethodOptions&) { return std::make_unique<Kl>(); }

}  // namespace roundel::quant
