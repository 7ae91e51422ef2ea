#pragma once
// Uniform histograms and prefix sums for divergences, shared by the kl methods.

#include <cmath>
#include <vector>

#include "lib/quant/distribution.h"

namespace roundel::quant {

inline double PLogP(double p) { return p > 0 ? p * std::log(p) : 0; }

// Masses of `bins` equal bins over [low, high], which holds zero and all values. Exact zeros are in
// the bin that holds them, or begins there, if `with_zeros`, else left out.
std::vector<double> UniformBins(const Distribution& values, double low, double high, int bins,
                                bool with_zeros);
// The same of |x| over [0, high], zeros in the first bin.
std::vector<double> UniformMagnitudeBins(const Distribution& values, double high, int bins);

// Prefix sums over the first i bins, for the divergence of any interval.
struct BinSums {
  explicit BinSums(const std::vector<double>& bins);
  std::vector<double> mass, entropy;  // entropy: sum of p ln p
  std::vector<int> filled;            // bins that are not empty
};

// The first bin of cell `i` if `bins` bins are divided into `cells` cells as evenly as possible.
inline int CellBegin(int i, int bins, int cells) {
  return static_cast<int>(int64_t{i} * bins / cells);
}

}  // namespace roundel::quant
