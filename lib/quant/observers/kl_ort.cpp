// kl_ort: the method Entropy of ONNX Runtime's quantizer, for comparison; `kl` is better.
//
// A signed histogram of 128 bins over [-t, t], where t is the largest |x|. For i = 64 .. (half of
// the bins): P is the middle 2 i + 1 bins (fewer if there are not so many), with the tails added to
// its first and last bin. Q is those bins without the tails, distributed over 128 levels; the mass
// of a level is spread over its bins where P is not empty, in whole counts. The remainder of the
// division is lost, and so are the bins beyond an even distribution. Empty bins of either get
// 0.0001 from the others. The least KL(P || Q) gives the range, clipped to the seen values. With
// 128 bins there is a single candidate, the whole range, which is that of min_max. More bins
// (parameter `bins`) give more candidates.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "lib/quant/observers/entropy.h"
#include "lib/quant/observers/methods.h"

namespace roundel::quant {
namespace {

constexpr size_t kLevels = 128;

// Moves a little mass to the empty bins; false if there is none to move.
bool Smooth(std::vector<double>* masses) {
  constexpr double kLittle = 1e-4;
  const auto empty = static_cast<double>(std::count(masses->begin(), masses->end(), 0.0));
  const double filled = static_cast<double>(masses->size()) - empty;
  if (filled == 0 || kLittle * empty / filled >= 1) return false;
  for (double& mass : *masses) mass += mass == 0 ? kLittle : -kLittle * empty / filled;
  return true;
}

double KlOf(const std::vector<double>& p, const std::vector<double>& q) {
  const double p_total = std::accumulate(p.begin(), p.end(), 0.0);
  const double q_total = std::accumulate(q.begin(), q.end(), 0.0);
  double kl = 0;
  for (size_t i = 0; i < p.size(); ++i)
    if (p[i] > 0) kl += p[i] / p_total * std::log(p[i] / p_total * q_total / q[i]);
  return kl;
}

// For bins [begin, end); infinite if it is undefined.
double Divergence(const std::vector<double>& bins, size_t begin, size_t end) {
  const auto first = bins.begin() + static_cast<ptrdiff_t>(begin);
  const auto last = bins.begin() + static_cast<ptrdiff_t>(end);
  std::vector<double> p(first, last), q(p.size());
  p.front() += std::accumulate(bins.begin(), first, 0.0);
  p.back() += std::accumulate(last, bins.end(), 0.0);
  const size_t per_level = p.size() / kLevels;
  for (size_t level = 0; level < kLevels; ++level) {
    const size_t from = level * per_level, to = from + per_level;
    const size_t merged = level + 1 == kLevels ? p.size() : to;
    double mass = 0, filled = 0;
    for (size_t i = from; i < merged; ++i) mass += bins[begin + i];
    for (size_t i = from; i < to; ++i) filled += p[i] != 0;
    for (size_t i = from; i < to && filled > 0; ++i) q[i] = std::trunc(mass / filled);
  }
  return Smooth(&p) && Smooth(&q) ? KlOf(p, q) : std::numeric_limits<double>::infinity();
}

class KlOrt : public Observer {
 public:
  explicit KlOrt(int64_t bins) : bins_(static_cast<size_t>(bins / 2 * 2)) {}
  StatisticsNeeds needs() const override { return {.histogram = true}; }

  Range Compute(const Evidence& evidence, const Grid&) const override {
    const double top = std::max(-evidence.seen.min, evidence.seen.max);
    if (!(top > 0)) return evidence.seen;
    const auto bins = UniformBins(evidence.values, -top, top, static_cast<int>(bins_), true);
    const double width = 2 * top / static_cast<double>(bins_);
    const size_t middle = bins_ / 2;
    Range best = evidence.seen;
    double least = std::numeric_limits<double>::infinity();
    for (size_t half = kLevels / 2; half <= middle; ++half) {
      const size_t begin = middle - half, end = std::min(bins_, middle + half + 1);
      const double kl = Divergence(bins, begin, end);
      if (!(kl < least)) continue;
      least = kl;
      best = {std::max(std::min(0.0, evidence.seen.min), static_cast<double>(begin) * width - top),
              std::min(std::max(0.0, evidence.seen.max), static_cast<double>(end) * width - top)};
    }
    return best;
  }

 private:
  size_t bins_;
};

}  // namespace

std::unique_ptr<Observer> MakeKlOrt(const MethodOptions& options) {
  return std::make_unique<KlOrt>(options.bins);
}

}  // namespace roundel::quant
