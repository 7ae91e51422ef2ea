// aciq against numerical integration; the kl methods against plain double loops.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lib/quant/observers/aciq.h"
#include "lib/quant/observers/entropy.h"
#include "tests/lib/quant/observer_support.h"

namespace roundel::quant {
namespace {

const Grid kAsymmetric{.bits = 8};
const Grid kSymmetric{.bits = 8, .is_signed = true, .symmetric = true};

double Laplace(double x) { return std::exp(-std::fabs(x)) / 2; }
double Gauss(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }

// Clipping at +-clip by summing the density, and the noise of 2^bits steps.
double IntegratedError(double (*density)(double), double clip, double bits) {
  constexpr double kEnd = 60, kStep = 1e-4;
  double error = 0;
  for (double x = clip + kStep / 2; x < kEnd; x += kStep)
    error += 2 * (x - clip) * (x - clip) * density(x) * kStep;
  return error + clip * clip / (3 * std::exp2(2 * bits));
}

double Kl(std::vector<double> p, std::vector<double> q) {
  double p_total = 0, q_total = 0, kl = 0;
  for (const double x : p) p_total += x;
  for (const double x : q) q_total += x;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] <= 0) continue;
    if (q[i] <= 0) return HUGE_VAL;
    kl += p[i] / p_total * std::log(p[i] / p_total / (q[i] / q_total));
  }
  return kl;
}

// P: the first `count` bins with what lies beyond added to the last of them. Q: the bins without
// that, dealt to `levels`, evenly or (as published) in whole bins with the rest to the last.
double PlainKl(const std::vector<double>& bins, size_t count, size_t levels, bool published) {
  std::vector<double> p(bins.begin(), bins.begin() + static_cast<ptrdiff_t>(count));
  std::vector<double> q(count);
  for (size_t i = count; i < bins.size(); ++i) p.back() += bins[i];
  for (size_t level = 0; level < levels; ++level) {
    size_t begin = level * count / levels, end = (level + 1) * count / levels;
    if (published) {
      begin = level * (count / levels);
      end = level + 1 == levels ? count : begin + count / levels;
    }
    double mass = 0, filled = 0;
    for (size_t i = begin; i < end; ++i) {
      mass += bins[i];
      filled += bins[i] > 0;
    }
    for (size_t i = begin; i < end; ++i)
      if (bins[i] > 0) q[i] = mass / filled;
  }
  return Kl(p, q);
}

// A normal density after a Relu, with outliers; zeros on top.
std::vector<float> ReluValues() {
  std::vector<float> values = NormalValues(60000, 4, 0, 1);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = std::max(values[i], 0.0f);
    if (i % 20000 == 7) values[i] = 20.0f + static_cast<float>(i) * 1e-4f;
  }
  return values;
}

}  // namespace

TEST_CASE("aciq's closed forms are the minima of integrated errors, and the published constants") {
  for (const double bits : {2.0, 3.0, 4.0, 5.0, 8.0}) {
    for (const bool laplace : {true, false}) {
      const auto density = laplace ? Laplace : Gauss;
      const double best = laplace ? LaplaceClip(bits) : GaussClip(bits);
      const double expected = laplace ? LaplaceError(best, bits) : GaussError(best, bits);
      const double integrated = IntegratedError(density, best, bits);
      CHECK(expected == Approx(integrated).epsilon(1e-3));
      for (const double factor : {0.9, 0.97, 1.03, 1.1})
        CHECK(IntegratedError(density, best * factor, bits) > integrated);
    }
  }
  CHECK(LaplaceClip(2) == Approx(2.83).margin(0.01));
  CHECK(LaplaceClip(3) == Approx(3.89).margin(0.01));
  CHECK(LaplaceClip(4) == Approx(5.03).margin(0.01));
  CHECK(GaussClip(2) == Approx(1.71).margin(0.01));
  CHECK(GaussClip(3) == Approx(2.15).margin(0.01));
  CHECK(GaussClip(4) == Approx(2.55).margin(0.01));
}

TEST_CASE("aciq recognizes the family and the side") {
  const Grid four{.bits = 4}, four_symmetric{.bits = 4, .is_signed = true, .symmetric = true};
  const auto laplace = LaplaceValues(200000, 1, 0.5f);
  const auto gauss = NormalValues(200000, 2, 0, 0.5f);
  CHECK(RangeFor("aciq", laplace, four).max == Approx(0.5 * LaplaceClip(4)).epsilon(0.02));
  CHECK(RangeFor("aciq", gauss, four).max == Approx(0.5 * GaussClip(4)).epsilon(0.02));
  CHECK(RangeFor("aciq", gauss, four).min == Approx(-0.5 * GaussClip(4)).epsilon(0.02));
  // Around their mean on asymmetric grids, around zero on symmetric ones.
  const auto shifted = NormalValues(200000, 3, 0.3f, 0.5f);
  CHECK(RangeFor("aciq", shifted, four).max == Approx(0.3 + 0.5 * GaussClip(4)).epsilon(0.02));
  const Range s = RangeFor("aciq", shifted, four_symmetric);
  CHECK(s.max == Approx(std::sqrt(0.34) * GaussClip(std::log2(16))).epsilon(0.02));
  // One side of the density, twice the resolution; zeros do not count.
  std::vector<float> relu = gauss;
  for (float& v : relu) v = std::max(v, 0.0f);
  CHECK(RangeFor("aciq", relu, four).max == Approx(0.5 * GaussClip(5)).epsilon(0.02));
  CHECK(RangeFor("aciq", relu, four).min == 0);
}

TEST_CASE("kl_tensorrt is the published double loop") {
  std::vector<float> values = GENERATE(0, 1) == 0 ? ReluValues() : LaplaceValues(50000, 5, 1);
  const Range range = RangeFor("kl_tensorrt", values, kAsymmetric);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double top = std::max(-*low, *high);
  auto bins = UniformMagnitudeBins(Distribution::Of(StatisticsOf(values)), top, 2048);
  bins[0] = bins[1];
  size_t best = 2048;
  double least = HUGE_VAL;
  for (size_t i = 128; i <= 2048; ++i) {
    const double kl = PlainKl(bins, i, 128, true);
    if (kl < least * (1 - 1e-12)) {
      least = kl;
      best = i;
    }
  }
  const double threshold = std::min(top, (static_cast<double>(best) + 0.5) * top / 2048);
  CHECK(range.max == Approx(std::min<double>(*high, threshold)).epsilon(1e-12));
  CHECK(range.min == Approx(std::max<double>(*low, -threshold)).epsilon(1e-12).margin(1e-12));
}

TEST_CASE("kl has the least divergence of a plain scan over every end") {
  const int bits = GENERATE(3, 4, 8);
  const std::vector<float> values = ReluValues();
  const size_t levels = size_t{1} << bits, count = 16 * levels;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const Distribution d = Distribution::Of(StatisticsOf(values));
  const auto bins = UniformBins(d, 0, *high, static_cast<int>(count), false);
  double least = HUGE_VAL;
  const size_t stride = bits == 8 ? 15 : 1;  // at most 256 places are looked at first
  for (size_t i = count; i >= levels; i -= stride)
    least = std::min(least, PlainKl(bins, i, levels, false));
  const Range range = RangeFor("kl", values, {.bits = bits});
  CHECK(range.min == 0);
  const auto end = static_cast<size_t>(std::lround(range.max / *high * static_cast<double>(count)));
  CHECK(PlainKl(bins, end, levels, false) <= (1 + 1e-9) * least);
  // The same of |x| on symmetric grids, whose positive half it fills.
  const Grid symmetric{.bits = bits, .is_signed = true, .symmetric = true};
  const Range both = RangeFor("kl", values, symmetric);
  CHECK(both.min == -both.max);
  CHECK(both.max > 0);
}

TEST_CASE("kl moves both ends, and keeps zero inside") {
  std::vector<float> values = NormalValues(100000, 7, 0, 1);
  for (size_t i = 0; i < 20; ++i) {
    values[i] = 40;
    values[100 + i] = -25;
  }
  const Range range = RangeFor("kl", values, {.bits = 6});
  CHECK(range.max < 20);
  CHECK(range.max > 2);
  CHECK(range.min > -15);
  CHECK(range.min < -2);
  for (float& v : values) v = std::fabs(v) + 5;
  CHECK(RangeFor("kl", values, {.bits = 6}).min >= 0);
}

TEST_CASE("kl_ort with 128 bins is min_max, with more it is the double loop") {
  const std::vector<float> values = LaplaceValues(20000, 11, 1);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const Range whole = RangeFor("kl_ort", values, kSymmetric);
  CHECK(whole.min == *low);
  CHECK(whole.max == *high);

  constexpr size_t kBins = 512;
  const double top = std::max(-*low, *high), width = 2 * top / kBins;
  const auto bins = UniformBins(Distribution::Of(StatisticsOf(values)), -top, top, kBins, true);
  Range best;
  double least = HUGE_VAL;
  for (size_t half = 64; half <= kBins / 2; ++half) {
    const size_t begin = kBins / 2 - half, end = std::min(kBins, kBins / 2 + half + 1);
    std::vector<double> p, q(end - begin);
    for (size_t i = begin; i < end; ++i) p.push_back(bins[i]);
    for (size_t i = 0; i < begin; ++i) p.front() += bins[i];
    for (size_t i = end; i < kBins; ++i) p.back() += bins[i];
    const size_t each = p.size() / 128;
    for (size_t level = 0; level < 128; ++level) {
      double mass = 0;
      int filled = 0;
      for (size_t i = level * each; i < (level == 127 ? p.size() : (level + 1) * each); ++i)
        mass += bins[begin + i];
      for (size_t i = level * each; i < (level + 1) * each; ++i) filled += p[i] != 0;
      for (size_t i = level * each; i < (level + 1) * each; ++i)
        if (filled > 0) q[i] = std::trunc(mass / filled);
    }
    for (std::vector<double>* masses : {&p, &q}) {
      double empty = 0;
      for (const double m : *masses) empty += m == 0;
      const double share = 1e-4 * empty / (static_cast<double>(masses->size()) - empty);
      for (double& m : *masses) m = m == 0 ? 1e-4 : m - share;
    }
    const double kl = Kl(p, q);
    if (kl < least * (1 - 1e-12)) {
      least = kl;
      best = {std::max<double>(*low, static_cast<double>(begin) * width - top),
              std::min<double>(*high, static_cast<double>(end) * width - top)};
    }
  }
  const Range range = RangeFor("kl_ort", values, kSymmetric, {.bins = kBins});
  CHECK(range.min == Approx(best.min));
  CHECK(range.max == Approx(best.max));
}

TEST_CASE("uniform bins agree with counting raw values to a bucket") {
  const std::vector<float> values = ReluValues();
  const Distribution d = Distribution::Of(StatisticsOf(values));
  const double top = d.range().max;
  const auto bins = UniformBins(d, 0, top, 64, true), magnitudes = UniformMagnitudeBins(d, top, 64);
  for (size_t i = 0; i < 64; ++i) {
    const double low = top * static_cast<double>(i) / 64,
                 high = top * static_cast<double>(i + 1) / 64;
    double mass = 0, near = 0;
    for (const double x : values) {
      mass += i == 0 ? x <= high : x > low && x <= high;
      near += std::fabs(x - low) <= low / 256 || std::fabs(x - high) <= high / 256;
    }
    CHECK(std::fabs(bins[i] - mass) <= near + 1e-6);
    CHECK(std::fabs(magnitudes[i] - mass) <= near + 1e-6);
  }
}

}  // namespace roundel::quant
