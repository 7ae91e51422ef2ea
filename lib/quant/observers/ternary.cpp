// abs_mean and twn: scales of weights with two or three levels, for which the largest magnitude is
// a poor guide. Also least squares, which replaces the other methods on such grids.
//
//    abs_mean   s = mean |w|: BitNet b1.58 (Ma et al. 2024); for binary weights the least-squares
//               optimum (Rastegari et al., XNOR-Net, 2016)
//    twn        s = mean of |w| above 0.7 mean |w| (Li et al., Ternary Weight Networks, 2016)
//    least squares of ternary weights, exactly: with a threshold t, the best scale is the mean of
//               |w| above it, and the squared error falls by (sum of |w| above)^2 / (number above);
//               every magnitude that occurs is tried as t
//
// Codes are always the nearest ones, which is never worse than those of the threshold. On other
// grids both methods are min_max.

#include <cmath>
#include <limits>
#include <vector>

#include "lib/quant/observers/methods.h"
#include "lib/quant/observers/search.h"

namespace roundel::quant {
namespace {

// Mass and sum of |x| where |x| > t.
Moments Above(const Distribution& values, double t) {
  const Moments low = values.Below(-t),
                high = values.Below(std::numeric_limits<double>::infinity()) - values.Below(t);
  return {low.mass + high.mass, high.sum - low.sum, low.squares + high.squares};
}

double MeanOf(const Moments& m) { return m.mass > 0 ? m.sum / m.mass : 0; }

double AbsMean(const Distribution& values) {
  const Moments above = Above(values, 0);
  return values.mass() > 0 ? above.sum / values.mass() : 0;
}

double TwnScale(const Distribution& values) {
  constexpr double kShare = 0.7;
  return MeanOf(Above(values, kShare * AbsMean(values)));
}

double LeastSquaresScale(const Distribution& values) {
  double best = 0, most = 0;
  const auto offer = [&](double edge) {
    // Values exactly at the edge are included.
    const Moments above = Above(values, std::nextafter(std::fabs(edge), 0.0));
    const double gain = above.mass > 0 ? above.sum * above.sum / above.mass : 0;
    if (!(gain > most)) return;
    most = gain;
    best = MeanOf(above);
  };
  for (const Distribution::Bin& bin : values.bins()) {
    offer(bin.low);
    offer(bin.high);
  }
  return best;
}

class FewLevels : public Observer {
 public:
  explicit FewLevels(double (*scale)(const Distribution&)) : scale_(scale) {}
  StatisticsNeeds needs() const override { return {.histogram = true}; }

  Range Compute(const Evidence& evidence, const Grid& grid) const override {
    if (grid.kind != GridKind::kTernary && grid.kind != GridKind::kBinary) return evidence.seen;
    const double scale = scale_(evidence.values);
    return {-scale, scale};
  }

 private:
  double (*scale_)(const Distribution&);
};

}  // namespace

Range LeastSquaresFewLevels(const Distribution& values, const Grid& grid) {
  const double scale = grid.kind == GridKind::kBinary ? AbsMean(values) : LeastSquaresScale(values);
  return {-scale, scale};
}

std::unique_ptr<Observer> MakeAbsMean(const MethodOptions&) {
  return std::make_unique<FewLevels>(AbsMean);
}
std::unique_ptr<Observer> MakeTwn(const MethodOptions&) {
  return std::make_unique<FewLevels>(TwnScale);
}

}  // namespace roundel::quant
