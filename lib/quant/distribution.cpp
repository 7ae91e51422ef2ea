#include "lib/quant/distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "lib/quant/float_grid.h"

namespace roundel::quant {
namespace {

using Bin = Distribution::Bin;

// The part of a bin that lies below x, which is inside.
Moments PartBelow(const Bin& bin, double x) {
  const double density = bin.mass / (bin.high - bin.low);
  const double l = bin.low;
  return {density * (x - l), density * (x - l) * (x + l) / 2,
          density * (x - l) * (x * x + x * l + l * l) / 3};
}

Moments WholeBin(const Bin& bin) {
  return {bin.mass, bin.mass * (bin.low + bin.high) / 2,
          bin.mass * (bin.low * bin.low + bin.low * bin.high + bin.high * bin.high) / 3};
}

}  // namespace

Distribution Distribution::Of(const ValueStatistics& statistics) {
  Distribution d;
  const Range seen = statistics.seen();
  const Histogram& histogram = statistics.histogram();
  const auto bucket = [&](uint32_t sign, uint32_t magnitude) {
    const uint64_t count = histogram.count(sign + magnitude);
    if (count == 0) return;
    double low = Histogram::Edge(magnitude), high = Histogram::Edge(magnitude + 1);
    if (sign != 0) {
      std::swap(low, high);
      low = -low;
      high = -high;
    }
    // The extremes are known exactly; only in a file edited by hand are buckets beyond them.
    low = std::clamp(low, seen.min, seen.max);
    high = std::clamp(high, seen.min, seen.max);
    d.Append(low, high, static_cast<double>(count));
  };
  if (seen.min < 0)
    for (uint32_t m = Histogram::MagnitudeOf(static_cast<float>(seen.min)) + 1; m-- > 1;)
      bucket(Histogram::kMagnitudes, m);
  d.zeros_ = static_cast<double>(statistics.zeros());
  if (d.zeros_ > 0) d.Append(0, 0, d.zeros_);
  if (seen.max > 0)
    for (uint32_t m = 1; m <= Histogram::MagnitudeOf(static_cast<float>(seen.max)); ++m)
      bucket(0, m);
  d.SumUp();
  return d;
}

Distribution Distribution::Of(std::span<const float> values) {
  Distribution d;
  std::vector<float> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  for (const float x : sorted) {
    if (!d.bins_.empty() && d.bins_.back().low == x)
      ++d.bins_.back().mass;
    else
      d.Append(x, x, 1);
    if (x == 0) ++d.zeros_;
  }
  d.SumUp();
  return d;
}

Distribution Distribution::From(double low) const {
  Distribution d;
  for (const Bin& bin : bins_)
    if (bin.low >= low) d.bins_.push_back(bin);
  if (low <= 0) d.zeros_ = zeros_;
  d.SumUp();
  return d;
}

void Distribution::Append(double low, double high, double mass) {
  bins_.push_back({low, high, mass});
}

void Distribution::SumUp() {
  before_.assign(1, {});
  before_.reserve(bins_.size() + 1);
  for (const Bin& bin : bins_) {
    const Moments& b = before_.back();
    const Moments whole = WholeBin(bin);
    before_.push_back({b.mass + whole.mass, b.sum + whole.sum, b.squares + whole.squares});
  }
}

Moments Distribution::Below(double x) const {
  if (before_.empty()) return {};
  // The first bin that does not end at or below x.
  const auto it = std::upper_bound(bins_.begin(), bins_.end(), x,
                                   [](double v, const Bin& bin) { return v < bin.high; });
  const Moments& before = before_[static_cast<size_t>(it - bins_.begin())];
  if (it == bins_.end() || x <= it->low) return before;
  const Moments part = PartBelow(*it, x);
  return {before.mass + part.mass, before.sum + part.sum, before.squares + part.squares};
}

double Distribution::Quantile(double mass) const {
  if (bins_.empty()) return 0;
  const auto it = std::lower_bound(before_.begin() + 1, before_.end(), mass,
                                   [](const Moments& b, double m) { return b.mass < m; });
  if (it == before_.end()) return bins_.back().high;
  const Bin& bin = bins_[static_cast<size_t>(it - before_.begin()) - 1];
  const double share = (mass - (it - 1)->mass) / bin.mass;
  return bin.low + std::clamp(share, 0.0, 1.0) * (bin.high - bin.low);
}

double Distribution::MagnitudeQuantile(double wanted) const {
  // Bisection down to adjacent doubles: the mass in [-t, t] grows with t.
  double low = 0, high = std::max(std::fabs(range().min), std::fabs(range().max));
  const auto inside = [this](double t) { return Below(t).mass - Below(-t).mass; };
  for (double middle = high / 2; low < middle && middle < high; middle = low + (high - low) / 2)
    (inside(middle) >= wanted ? high : low) = middle;
  return high;
}

std::vector<double> Distribution::MassBelow(const std::vector<double>& edges) const {
  std::vector<double> masses;
  masses.reserve(edges.size());
  size_t i = 0;
  for (const double edge : edges) {
    while (i < bins_.size() && bins_[i].high <= edge) ++i;
    double mass = i < before_.size() ? before_[i].mass : 0;
    if (i < bins_.size() && edge > bins_[i].low) mass += PartBelow(bins_[i], edge).mass;
    masses.push_back(mass);
  }
  return masses;
}

namespace {

// Antiderivatives of e and e^2 for e(u) = round(u) - u; both are continuous.
double IntegralOfError(double u) {
  const double e = std::nearbyint(u) - u;
  return -e * e / 2;
}
double IntegralOfSquare(double u) {
  const double e = std::nearbyint(u) - u;
  return std::nearbyint(u) / 12 - e * e * e / 3;
}

// Error of the values of one bin that lie in [low, high], the ends of the grid.
void AddRounding(const Bin& bin, double low, double high, double scale, QuantizationError* error) {
  const double a = std::max(bin.low, low), b = std::min(bin.high, high);
  if (a > b || (a == b && bin.low < bin.high)) return;
  const double width = (b - a) / scale;
  constexpr double kPoint = 1e-4;  // of a step: the center represents the bin
  if (width < kPoint) {
    const double mass = bin.low < bin.high ? bin.mass * (b - a) / (bin.high - bin.low) : bin.mass;
    const double u = (a + b) / 2 / scale, e = (std::nearbyint(u) - u) * scale;
    error->rounding += mass * e * e;
    error->sum += mass * e;
    return;
  }
  const double per_step = bin.mass * scale / (bin.high - bin.low);
  const double squares = IntegralOfSquare(b / scale) - IntegralOfSquare(a / scale);
  const double sums = IntegralOfError(b / scale) - IntegralOfError(a / scale);
  error->rounding += per_step * squares * scale * scale;
  error->sum += per_step * sums * scale;
}

// Levels of any spacing, symmetric about zero: values map to the nearest level.
QuantizationError ErrorOnLevels(const Distribution& values, double scale, const Grid& grid) {
  QuantizationError error;
  const std::vector<float>& levels = GridLevels(grid);
  Moments before;
  for (size_t i = 0; i < levels.size(); ++i) {
    const double level = levels[i] * scale;
    const bool last = i + 1 == levels.size();
    const Moments below = values.Below(last ? std::numeric_limits<double>::infinity()
                                            : (level + levels[i + 1] * scale) / 2);
    const Moments part = below - before;
    error.rounding += std::max(0.0, part.About(level));
    error.sum += level * part.mass - part.sum;
    before = below;
  }
  return error;
}

}  // namespace

QuantizationError ErrorOf(const Distribution& values, const QParams& params, const Grid& grid) {
  QuantizationError error;
  if (values.bins().empty() || !grid.has_scale()) return error;
  if (!grid.is_uniform()) return ErrorOnLevels(values, params.scale, grid);
  const double scale = std::fabs(params.scale);
  int64_t bottom = int64_t{grid.qmin()} - params.zero_point;
  int64_t top = int64_t{grid.qmax()} - params.zero_point;
  if (params.scale < 0) std::tie(bottom, top) = std::pair(-top, -bottom);
  const double low = static_cast<double>(bottom) * scale, high = static_cast<double>(top) * scale;
  const auto add = [&](const Moments& part, double level, double* squares) {
    *squares += std::max(0.0, part.About(level));  // rounding may give slightly negative results
    error.sum += level * part.mass - part.sum;
  };
  Moments before = values.Below(low);
  add(before, low, &error.clipping);
  add(values.Below(std::numeric_limits<double>::infinity()) - values.Below(high), high,
      &error.clipping);
  // By level, or by bin if there are fewer bins.
  const auto bins = static_cast<int64_t>(values.bins().size());
  if (top - bottom >= bins / 4) {
    for (const Bin& bin : values.bins())
      if (bin.high >= low && bin.low <= high) AddRounding(bin, low, high, scale, &error);
    return error;
  }
  for (int64_t level = bottom; level <= top; ++level) {
    const double v = static_cast<double>(level) * scale;
    const Moments below = values.Below(level == top ? high : v + scale / 2);
    add(below - before, v, &error.rounding);
    before = below;
  }
  return error;
}

}  // namespace roundel::quant
