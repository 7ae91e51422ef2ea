// kl_tensorrt: the entropy calibration of TensorRT as published (S. Migacz, 8-bit Inference with
// TensorRT, 2017), for comparison; `kl` is the better method.
//
// 2048 bins of |x|; for i = 128 .. 2048: P is the first i bins, with all mass beyond added to the
// last of them; Q is the first i bins distributed over 128 levels (i / 128 bins each, the rest in
// the last level), the mass of a level spread over its bins that are not empty; both are
// normalized. The threshold is (i + 0.5) bins at the least KL(P || Q). An i for which Q is empty
// where P is not is ruled out. The number of levels is 128 for every grid. The first bin, which
// contains the zeros of a Relu, gets the count of the second, as in NVIDIA's pytorch-quantization:
// otherwise the method does not work after a Relu.

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/quant/observers/entropy.h"
#include "lib/quant/observers/methods.h"

namespace roundel::quant {
namespace {

constexpr int kBins = 2048, kLevels = 128;

// KL(P || Q) of the first `count` bins, from sums over bins: with Q of bin b = M_c / (n_c M), KL =
// sum P ln P - sum over levels (P's mass of the level) ln(M_c / (n_c M)).
double KlOf(const std::vector<double>& bins, const BinSums& sums, int count) {
  const auto at = [](const auto& list, int i) { return list[static_cast<size_t>(i)]; };
  const double total = sums.mass.back(), kept = at(sums.mass, count), beyond = total - kept;
  const double last = at(bins, count - 1);
  if (last <= 0 && beyond > 0) return std::numeric_limits<double>::infinity();
  if (kept <= 0) return std::numeric_limits<double>::infinity();
  double kl = at(sums.entropy, count) + PLogP(last + beyond) - PLogP(last);
  const int per_level = count / kLevels;
  for (int level = 0; level < kLevels; ++level) {
    const int from = level * per_level;
    const int to = level + 1 == kLevels ? count : from + per_level;
    const double mass = at(sums.mass, to) - at(sums.mass, from);
    const int filled = at(sums.filled, to) - at(sums.filled, from);
    if (mass <= 0 || filled == 0) continue;
    kl -= (mass + (to == count ? beyond : 0)) * std::log(mass / filled / kept);
  }
  return kl / total - std::log(total);
}

class KlTensorrt : public Observer {
 public:
  StatisticsNeeds needs() const override { return {.histogram = true}; }

  Range Compute(const Evidence& evidence, const Grid&) const override {
    const double top = std::max(-evidence.seen.min, evidence.seen.max);
    if (!(top > 0)) return evidence.seen;
    auto bins = UniformMagnitudeBins(evidence.values, top, kBins);
    bins[0] = bins[1];
    const BinSums sums(bins);
    int best = kBins;
    double least = std::numeric_limits<double>::infinity();
    for (int i = kLevels; i <= kBins; ++i) {
      const double kl = KlOf(bins, sums, i);
      if (!(kl < least)) continue;
      least = kl;
      best = i;
    }
    const double threshold = std::min(top, (best + 0.5) * top / kBins);
    return {std::max(std::min(0.0, evidence.seen.min), -threshold),
            std::min(std::max(0.0, evidence.seen.max), threshold)};
  }
};

}  // namespace

std::unique_ptr<Observer> MakeKlTensorrt(const MethodOptions&) {
  return std::make_unique<KlTensorrt>();
}

}  // namespace roundel::quant
