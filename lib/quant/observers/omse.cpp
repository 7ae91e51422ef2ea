// omse: scale and zero point of the least squared error, level by level (optimal MSE; Choukroun et
// al., Low-bit Quantization of Neural Networks for Efficient Inference, 2019).
//
// mse moves the ends of a range; omse continues from its result as k-means does. With the values
// assigned to codes q, the error sum (x - s q)^2 is least at
//
//   s = sum q x / sum q^2,
//
// both sums from the moments of the values of each level. Assigning and solving alternate until the
// error stops falling; adjacent zero points are tried as well. The result is exact for the gathered
// distribution. The gain over mse is visible with few bits. Grids of more than 8 bits gain nothing
// and use mse.

#include <cmath>
#include <limits>

#include "lib/quant/observers/methods.h"
#include "lib/quant/observers/search.h"

namespace roundel::quant {
namespace {

constexpr int kMaxBits = 8, kMaxTurns = 16;

// The best scale for the codes that `params` give.
QParams SolveScale(const Distribution& values, QParams params, const Grid& grid) {
  const double scale = params.scale, infinity = std::numeric_limits<double>::infinity();
  double product = 0, squares = 0;
  Moments before;
  for (int32_t code = grid.qmin(); code <= grid.qmax(); ++code) {
    const double q = double{1} * code - params.zero_point;
    const Moments below = values.Below(code == grid.qmax() ? infinity : (q + 0.5) * scale);
    product += q * (below.sum - before.sum);
    squares += q * q * (below.mass - before.mass);
    before = below;
  }
  const auto solved = static_cast<float>(product / squares);
  if (squares > 0 && solved >= std::numeric_limits<float>::min()) params.scale = solved;
  return params;
}

class Omse : public Observer {
 public:
  StatisticsNeeds needs() const override { return {.histogram = true}; }

  Range Compute(const Evidence& evidence, const Grid& grid) const override {
    const Range start = LeastSquaredError(evidence, grid);
    if (!grid.is_plain() || grid.bits > kMaxBits || (start.min == 0 && start.max == 0))
      return start;
    const QParams params = ParamsFromRange(start.min, start.max, grid);
    double least = ErrorOf(evidence.values, params, grid).total();
    QParams best = params;
    const int32_t reach = grid.symmetric ? 0 : 1;
    for (int32_t zero = params.zero_point - reach; zero <= params.zero_point + reach; ++zero) {
      if (zero < grid.qmin() || zero > grid.qmax()) continue;
      const auto [error, found] = Descend(evidence.values, {params.scale, zero}, grid);
      if (!(error < least)) continue;
      least = error;
      best = found;
    }
    return best == params ? start : RangeOf(best, grid);
  }

 private:
  static std::pair<double, QParams> Descend(const Distribution& values, QParams params,
                                            const Grid& grid) {
    double least = ErrorOf(values, params, grid).total();
    for (int turn = 0; turn < kMaxTurns; ++turn) {
      const QParams next = SolveScale(values, params, grid);
      const double error = ErrorOf(values, next, grid).total();
      if (!(error < least)) break;
      least = error;
      params = next;
    }
    return {least, params};
  }
};

}  // namespace

std::unique_ptr<Observer> MakeOmse(const MethodOptions&) { return std::make_unique<Omse>(); }

}  // namespace roundel::quant
