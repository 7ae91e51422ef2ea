#include "lib/quant/observers/entropy.h"

#include <algorithm>

namespace roundel::quant {
namespace {

std::vector<double> Edges(double low, double high, int bins) {
  std::vector<double> edges;
  for (int i = 0; i <= bins; ++i) edges.push_back(low + (high - low) * i / bins);
  edges.back() = high;
  return edges;
}

// Differences of masses below ascending edges. Values exactly on the last edge count below it.
std::vector<double> Differences(const std::vector<double>& below) {
  std::vector<double> bins;
  for (size_t i = 0; i + 1 < below.size(); ++i)
    bins.push_back(std::max(0.0, below[i + 1] - below[i]));
  return bins;
}

}  // namespace

std::vector<double> UniformBins(const Distribution& values, double low, double high, int bins,
                                bool with_zeros) {
  const std::vector<double> edges = Edges(low, high, bins);
  std::vector<double> below = values.MassBelow(edges);
  below.front() = 0;  // values on an edge count below it; there are none below the first
  std::vector<double> masses = Differences(below);
  // The first bin that does not end below zero contains the zeros.
  const auto end = std::find_if(edges.begin() + 1, edges.end(), [](double e) { return e >= 0; });
  const auto bin = static_cast<size_t>(end - edges.begin()) - 1;
  masses[bin] = std::max(0.0, masses[bin] - values.zeros());
  if (!with_zeros) return masses;
  const bool ends_there = *end == 0 && bin + 1 < masses.size();
  masses[ends_there ? bin + 1 : bin] += values.zeros();
  return masses;
}

std::vector<double> UniformMagnitudeBins(const Distribution& values, double high, int bins) {
  const std::vector<double> edges = Edges(0, high, bins);
  std::vector<double> negative;
  for (size_t i = edges.size(); i-- > 0;) negative.push_back(std::nextafter(-edges[i], -HUGE_VAL));
  const std::vector<double> above = values.MassBelow(edges), under = values.MassBelow(negative);
  std::vector<double> inside;  // mass in [-t, t]
  for (size_t i = 0; i < edges.size(); ++i)
    inside.push_back(above[i] - under[edges.size() - 1 - i]);
  inside[0] = 0;
  return Differences(inside);
}

BinSums::BinSums(const std::vector<double>& bins) : mass{0}, entropy{0}, filled{0} {
  for (const double p : bins) {
    mass.push_back(mass.back() + p);
    entropy.push_back(entropy.back() + PLogP(p));
    filled.push_back(filled.back() + (p > 0));
  }
}

}  // namespace roundel::quant
