// auto: for each value the method with the least error in the layers that read it.
//
// A layer y = W x turns the error e of its input into W e. Rounding errors have random signs: their
// energies add up; clipping shifts all large values the same way: such errors add up linearly. With
// m the mean of e and v its variance, assumed equal for all inputs and independent,
//
//   E |W e|^2 = v * sum over outputs of sum w^2  +  m^2 * sum over outputs of (sum w)^2,
//
// so that the cost of a range for a layer is, up to a factor,
//
//   v + r m^2,     r = sum over outputs of (sum w)^2 / sum over outputs of sum w^2.
//
// r (Evidence::mean_error_weight) is the mean over the layers with constant weights that read the
// value; it is 1 if there is none, which gives the squared error v + m^2. Both moments come from
// the distribution, including clipping: the data is not read again.
//
// Candidates: min_max, percentile, mse, omse, sqnr, aciq, kl, and the range that minimizes this
// cost. Among equals the first of the list is chosen.

#include <algorithm>

#include "lib/quant/observers/methods.h"
#include "lib/quant/observers/search.h"

namespace roundel::quant {
namespace {

double Cost(const Evidence& evidence, const Range& range, const Grid& grid) {
  const QuantizationError error =
      ErrorOf(evidence.values, ParamsFromRange(range.min, range.max, grid), grid);
  const double mass = std::max(1.0, evidence.values.mass());
  const double mean = error.sum / mass;
  return error.total() / mass + (evidence.mean_error_weight - 1) * mean * mean;
}

class Auto : public Observer {
 public:
  explicit Auto(const MethodOptions& options) {
    for (const char* method : {"min_max", "percentile", "mse", "omse", "sqnr", "aciq", "kl"})
      candidates_.push_back(MakeObserver(method, options).value());
  }
  StatisticsNeeds needs() const override { return {.histogram = true}; }
  bool weighs_mean_error() const override { return true; }

  Range Compute(const Evidence& evidence, const Grid& grid) const override {
    return Decide(evidence, grid).range;
  }

  Decision Decide(const Evidence& evidence, const Grid& grid) const override {
    Decision best{evidence.seen, "min_max"};
    double least = Cost(evidence, evidence.seen, grid);
    const auto offer = [&](const Range& range, const std::string& name) {
      const double cost = Cost(evidence, range, grid);
      if (!(cost < least)) return;
      least = cost;
      best = {range, name};
    };
    for (const auto& candidate : candidates_)
      offer(candidate->Compute(evidence, grid), candidate->name());
    offer(Refine(best.range, evidence.seen, grid,
                 [&](const Range& range) { return Cost(evidence, range, grid); }),
          "search");
    return best;
  }

 private:
  std::vector<std::unique_ptr<Observer>> candidates_;
};

}  // namespace

std::unique_ptr<Observer> MakeAuto(const MethodOptions& options) {
  return std::make_unique<Auto>(options);
}

}  // namespace roundel::quant
