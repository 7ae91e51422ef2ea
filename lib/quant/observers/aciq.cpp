// aciq: Analytical Clipping for Integer Quantization (Banner et al., Post training 4-bit
// quantization of convolutional networks for rapid-deployment, 2019). Values are treated as samples
// of a Laplace or a Gauss density, for which the best clipping point has a closed form. Expected
// error per value with M bits, alpha the clipping point:
//
//   Laplace, scale b:  2 b^2 e^(-alpha/b) + alpha^2 / (3 * 4^M)
//   Gauss, sigma:      (alpha^2 + sigma^2) erfc(alpha / (sigma sqrt 2))
//                      - sqrt(2/pi) alpha sigma e^(-alpha^2 / (2 sigma^2)) + alpha^2 / (3 * 4^M)
//
// The range is [mean - alpha, mean + alpha]. On symmetric grids, and for values of one sign (after
// a Relu), the density is centered at zero; in the second case only half of it is observed, and the
// grid has twice the resolution: M + 1. Zeros are excluded there.
//
// b and sigma are the first and second absolute moments. The density whose expected error is closer
// to the actual error of its range is used. Ranges stay within the seen values.

#include "lib/quant/observers/aciq.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "lib/quant/observers/methods.h"
#include "lib/quant/observers/search.h"

namespace roundel::quant {

double LaplaceClip(double bits) {
  // Newton's iteration on t + ln t = ln(3 * 4^bits), whose left side is increasing and concave.
  const double target = std::log(3.0) + bits * std::log(4.0);
  double t = std::max(1.0, target);
  for (int i = 0; i < 50; ++i) t -= (t + std::log(t) - target) / (1 + 1 / t);
  return t;
}

double LaplaceError(double clip, double bits) {
  return 2 * std::exp(-clip) + clip * clip / (3 * std::exp2(2 * bits));
}

double GaussError(double clip, double bits) {
  return (clip * clip + 1) * std::erfc(clip / std::numbers::sqrt2) -
         std::sqrt(2 / std::numbers::pi) * clip * std::exp(-clip * clip / 2) +
         clip * clip / (3 * std::exp2(2 * bits));
}

double GaussClip(double bits) {
  // Its derivative, 2 clip erfc(clip / sqrt 2) - 2 sqrt(2/pi) e^(-clip^2 / 2) + 2 clip / (3 * 4^M),
  // increases and has one zero: bisection.
  const double noise = 2 / (3 * std::exp2(2 * bits));
  double low = 0, high = 20;
  for (int i = 0; i < 100; ++i) {
    const double t = (low + high) / 2;
    const double slope = 2 * t * std::erfc(t / std::numbers::sqrt2) -
                         2 * std::sqrt(2 / std::numbers::pi) * std::exp(-t * t / 2) + noise * t;
    (slope < 0 ? low : high) = t;
  }
  return (low + high) / 2;
}

namespace {

struct Fit {
  double center = 0, laplace = 0, gauss = 0;  // b and sigma
  double mass = 0;                            // of the fitted values
  double bits = 0;
};

Fit FitTo(const Evidence& evidence, const Grid& grid) {
  const Distribution& values = evidence.values;
  const Moments all = values.Below(std::numeric_limits<double>::infinity());
  const bool one_sided = evidence.seen.min >= 0 || evidence.seen.max <= 0;
  Fit fit{.mass = all.mass, .bits = std::log2(double{1} * grid.qmax() - grid.qmin() + 1)};
  if (one_sided) fit.mass -= values.zeros();
  if (one_sided && !grid.symmetric) fit.bits += 1;
  if (fit.mass <= 0) return fit;
  if (!one_sided && !grid.symmetric) fit.center = all.sum / all.mass;
  const Moments below = values.Below(fit.center);
  const double above = (all.sum - below.sum) - fit.center * (all.mass - below.mass);
  fit.laplace = (above + fit.center * below.mass - below.sum) / fit.mass;
  fit.gauss = std::sqrt(std::max(0.0, all.About(fit.center)) / fit.mass);
  return fit;
}

class Aciq : public Observer {
 public:
  StatisticsNeeds needs() const override { return {.histogram = true}; }

  Range Compute(const Evidence& evidence, const Grid& grid) const override {
    if (!grid.is_plain()) return LeastSquaredError(evidence, grid);
    const Fit fit = FitTo(evidence, grid);
    if (!(fit.laplace > 0) || !(fit.gauss > 0)) return evidence.seen;
    const double laplace = LaplaceClip(fit.bits), gauss = GaussClip(fit.bits);
    const Range first = Around(evidence, fit.center, laplace * fit.laplace);
    const Range second = Around(evidence, fit.center, gauss * fit.gauss);
    const double first_expected = LaplaceError(laplace, fit.bits) * fit.laplace * fit.laplace;
    const double second_expected = GaussError(gauss, fit.bits) * fit.gauss * fit.gauss;
    return Misfit(evidence, first, grid, first_expected * fit.mass) <=
                   Misfit(evidence, second, grid, second_expected * fit.mass)
               ? first
               : second;
  }

 private:
  static Range Around(const Evidence& evidence, double center, double alpha) {
    return {std::max(evidence.seen.min, center - alpha),
            std::min(evidence.seen.max, center + alpha)};
  }
  // |log(error / expected)|.
  static double Misfit(const Evidence& evidence, const Range& range, const Grid& grid,
                       double expected) {
    return std::fabs(std::log(SquaredError(evidence, range, grid) / expected));
  }
};

}  // namespace

std::unique_ptr<Observer> MakeAciq(const MethodOptions&) { return std::make_unique<Aciq>(); }

}  // namespace roundel::quant
