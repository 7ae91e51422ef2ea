#pragma once
// The distribution of values, as range searches need it: bins in rising order, with prefix sums, so
// that the mass, the mean and the energy of any interval cost two look-ups. Activations come from a
// histogram (the density inside a bin is uniform); weights are exact (each distinct value is a bin
// of zero width).

#include <span>
#include <vector>

#include "lib/quant/grid.h"
#include "lib/quant/statistics.h"

namespace roundel::quant {

// Integrals of 1, x and x^2 over some of the values.
struct Moments {
  double mass = 0, sum = 0, squares = 0;

  friend Moments operator-(const Moments& a, const Moments& b) {
    return {a.mass - b.mass, a.sum - b.sum, a.squares - b.squares};
  }
  // Integral of (x - v)^2.
  double About(double v) const { return squares - v * (2 * sum - v * mass); }
};

class Distribution {
 public:
  struct Bin {
    double low = 0, high = 0, mass = 0;  // low == high: `mass` values at that point
  };

  Distribution() = default;
  static Distribution Of(const ValueStatistics& statistics);  // Requires a histogram
  static Distribution Of(std::span<const float> values);      // Requires finite values

  // The bins with a lower edge >= `low`.
  Distribution From(double low) const;

  const std::vector<Bin>& bins() const { return bins_; }
  double mass() const { return before_.empty() ? 0 : before_.back().mass; }
  Range range() const { return bins_.empty() ? Range{} : Range{bins_[0].low, bins_.back().high}; }
  double zeros() const { return zeros_; }  // mass at zero exactly
  // Moments of the values below x, including a bin of zero width at x.
  Moments Below(double x) const;
  // The value with `mass` below it, linear inside a bin.
  double Quantile(double mass) const;
  // The least t with `mass` in [-t, t].
  double MagnitudeQuantile(double mass) const;
  // Mass below each of the rising `edges`.
  std::vector<double> MassBelow(const std::vector<double>& edges) const;

 private:
  void Append(double low, double high, double mass);
  void SumUp();

  std::vector<Bin> bins_;
  std::vector<Moments> before_;  // of the bins before bin i; one more at the end
  double zeros_ = 0;
};

// Sums of the quantization error e = quantized - x over all values.
struct QuantizationError {
  double rounding = 0;  // sum of e^2 between the ends of the grid
  double clipping = 0;  // sum of e^2 outside
  double sum = 0;       // sum of e

  double total() const { return rounding + clipping; }
};

// Exact for the given bins, with uniform density inside each. On float grids all error counts as
// rounding. On 16-bit float grids the error is taken as 0.
QuantizationError ErrorOf(const Distribution& values, const QParams& params, const Grid& grid);

}  // namespace roundel::quant
