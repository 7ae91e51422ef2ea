// kl: the range for which the quantized values tell least wrong about the distribution of the float
// ones, by Kullback-Leibler divergence. After S. Migacz, 8-bit Inference with TensorRT, 2017, with
// what is wrong there put right:
//
//   - P is the clipped distribution (what lies outside moves into the first or last bin inside), and
//     Q is made from P, tails included. There P had the tails and Q had not.
//   - The bins inside are dealt to the grid's levels as evenly as can be, at any number of them; each
//     level's mass spreads evenly over its bins that are not empty. There the last level took the rest.
//   - Exact zeros are left out of both: the grid holds them exactly, however many there are.
//   - Any width and both ends: levels = qmax - qmin + 1, with 16 bins to a level at full range.
//
// With P in bins and M_c, n_c the mass of level c and its bins that are not empty,
//
//   KL(P || Q) = sum over bins P ln P - sum over levels M_c ln(M_c / n_c),
//
// so that a candidate costs one logarithm per level, from sums over the first i bins. The upper end
// is searched with the lower at the minimum, then the lower, then the upper again; each first in
// steps of a 64th, then bin by bin around the best. (Symmetric grids: bins of |x|, one end.)
//
// Bins are finer than the buckets of the histogram where values are large: buckets are spread evenly.

#include <algorithm>
#include <functional>

#include "lib/quant/observers/entropy.h"
#include "lib/quant/observers/methods.h"

namespace roundel::quant {
namespace {

constexpr int kBinsPerLevel = 16, kMaxBins = 1 << 16, kCoarse = 64;

class Divergence {
 public:
  Divergence(const std::vector<double>& bins, int levels)
      : bins_(bins), sums_(bins), levels_(levels), total_(sums_.mass.back()) {}

  int size() const { return static_cast<int>(bins_.size()); }
  int levels() const { return levels_; }

  // Of keeping bins [begin, end), times the mass, less a constant. At least one bin per level.
  double Of(int begin, int end) const {
    const auto at = [](const auto& list, int i) { return list[static_cast<size_t>(i)]; };
    const double low = at(sums_.mass, begin), high = total_ - at(sums_.mass, end);
    const double first = at(bins_, begin), last = at(bins_, end - 1);
    double divergence = at(sums_.entropy, end) - at(sums_.entropy, begin);
    divergence += PLogP(first + low) - PLogP(first) + PLogP(last + high) - PLogP(last);
    for (int cell = 0, from = begin; cell < levels_; ++cell) {
      const int to = begin + CellBegin(cell + 1, end - begin, levels_);
      double mass = at(sums_.mass, to) - at(sums_.mass, from);
      int filled = at(sums_.filled, to) - at(sums_.filled, from);
      if (cell == 0) {
        mass += low;
        filled += first <= 0 && low > 0;
      }
      if (cell == levels_ - 1) {
        mass += high;
        filled += last <= 0 && high > 0;
      }
      from = to;
      if (mass > 0 && filled > 0) divergence -= mass * std::log(mass / filled);
    }
    return divergence;
  }

 private:
  const std::vector<double>& bins_;
  BinSums sums_;
  int levels_;
  double total_;
};

// The position in [from, to] of least cost; the largest among equals, which clips least.
int Search(int from, int to, const std::function<double(int)>& cost) {
  const int stride = std::max(1, (to - from) / kCoarse);
  int best = to;
  double least = cost(to);
  const auto visit = [&](int i) {
    const double found = cost(i);
    if (!(found < least)) return;
    least = found;
    best = i;
  };
  for (int i = to - stride; i >= from; i -= stride) visit(i);
  for (int step = stride / 4; step > 0; step /= 4)
    for (int i = std::min(to, best + 3 * step), end = std::max(from, best - 3 * step); i >= end;
         i -= step)
      visit(i);
  return best;
}

class Kl : public Observer {
 public:
  StatisticsNeeds needs() const override { return {.histogram = true}; }

  Range Compute(const Evidence& evidence, const Grid& grid) const override {
    const Range seen{std::min(0.0, evidence.seen.min), std::max(0.0, evidence.seen.max)};
    const int64_t levels = int64_t{grid.qmax()} - grid.qmin() + 1;
    const bool magnitudes = grid.symmetric;
    const int64_t cells = magnitudes ? levels / 2 : levels;
    // As many levels as bins: nothing is lost inside, everything by clipping.
    if (cells * 2 > kMaxBins || seen.min == seen.max) return evidence.seen;
    const int bins = static_cast<int>(std::min<int64_t>(kMaxBins, cells * kBinsPerLevel));
    if (magnitudes) {
      const double top = std::max(-seen.min, seen.max);
      auto masses = UniformMagnitudeBins(evidence.values, top, bins);
      masses[0] = std::max(0.0, masses[0] - evidence.values.zeros());
      const Divergence divergence(masses, static_cast<int>(cells));
      const int end = Search(static_cast<int>(cells), bins,
                             [&](int i) { return divergence.Of(0, i); });
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
      if (last > 0) begin = last - Search(0, last, [&](int i) { return divergence.Of(last - i, end); });
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
