// The sweep over all scales at which a code changes (scales.h).

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/solver/levels.h"
#include "lib/solver/linalg.h"
#include "lib/solver/nearest.h"
#include "lib/solver/scales.h"

namespace roundel::solver {
namespace {

// As the scale falls below `scale`, the level of column j moves one step away from 0.
struct Event {
  float scale;
  int32_t column;
};

struct Swept {
  double gain = 0;   // (x H w*)^2 / x H x: the reduction of the error by the codes
  double scale = 0;  // the best scale for them
  std::vector<float> x;
};

std::vector<Event> EventsOf(const float* target, int64_t n, const Levels& levels, double lowest) {
  float largest = 0;
  for (int64_t j = 0; j < n; ++j) largest = std::max(largest, std::fabs(target[j]));
  const double end = lowest * largest / std::max(levels.high, -levels.low);
  std::vector<Event> events;
  for (int64_t j = 0; j < n; ++j) {
    const float steps = target[j] > 0 ? levels.high : -levels.low;
    for (float k = 0; k < steps; ++k) {
      const float scale = std::fabs(target[j]) / (k + 0.5f);
      if (!(scale >= end) || scale == 0) break;
      events.push_back({scale, static_cast<int32_t>(j)});
    }
  }
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return a.scale != b.scale ? a.scale > b.scale : a.column < b.column;
  });
  return events;
}

// From all zeros downwards. Between events at the same scale the codes are one rounding of the
// ties, which is a valid candidate, because codes are kept and not rounded again.
Swept Sweep(const Problem& p, const float* target, const float* hw, const Levels& levels,
            double lowest) {
  const int64_t n = p.n;
  const std::vector<Event> events = EventsOf(target, n, levels, lowest);
  std::vector<float> h(static_cast<size_t>(n));  // H x
  double slope = 0, curvature = 0;               // x H w*, x H x
  Swept best;
  size_t taken = 0;
  for (size_t i = 0; i < events.size(); ++i) {
    const int64_t j = events[i].column;
    const float step = target[j] > 0 ? 1.0f : -1.0f;
    slope += double{step} * hw[j];
    curvature += 2 * double{step} * h[j] + p.H[j * n + j];
    AddScaled(step, p.H.data() + j * n, h.data(), n);
    if (!(curvature > 0) || !(slope > 0)) continue;
    const double gain = slope * slope / curvature;
    if (gain > best.gain) {
      best.gain = gain;
      best.scale = slope / curvature;
      taken = i + 1;
    }
  }
  best.x.resize(static_cast<size_t>(n));
  for (size_t i = 0; i < taken; ++i)
    best.x[events[i].column] += target[events[i].column] > 0 ? 1.0f : -1.0f;
  return best;
}

void SolveRow(const Problem& p, int64_t o, const float* hw, const GridSpec& spec, double lowest,
              int32_t* codes, quant::QParams* params) {
  const float* target = p.target.data() + o * p.n;
  const Levels levels = LevelsOf(*params, spec.grid);
  Swept best = Sweep(p, target, hw, {1, levels.low, levels.high}, lowest);
  if (spec.signed_scale) {
    Swept mirrored = Sweep(p, target, hw, {1, -levels.high, -levels.low}, lowest);
    if (mirrored.gain > best.gain) {
      best = std::move(mirrored);
      best.scale = -best.scale;
      for (float& x : best.x) x = 0 - x;
    }
  }
  if (std::fabs(best.scale) >= std::numeric_limits<float>::min() && std::fabs(best.scale) < 1e30)
    params->scale = static_cast<float>(best.scale);
  else
    std::fill(best.x.begin(), best.x.end(), 0.0f);
  for (int64_t j = 0; j < p.n; ++j) codes[j] = CodeOf(best.x[j], *params);
}

}  // namespace

Solution ExactScales(Layer layer, const GridSpec& spec, double lowest) {
  if (spec.granularity != quant::Granularity::kChannel || !spec.grid.symmetric ||
      spec.grid.bits > 4 || IsLowRank(layer))
    return RoundNearest(layer, spec, SeqMseScales(layer, spec, 100));
  Solution solution = EmptySolution(layer, spec, MinMaxScales(layer, spec));
  const int64_t n = solution.n;
  ParallelFor(static_cast<int64_t>(layer.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const Problem& p = layer[g];
      std::vector<float> hw(static_cast<size_t>(p.m * n));
      AddProduct(p.m, n, n, 1.0f, Strided<float>{p.target.data(), 1, n}, p.H.data(), n, hw.data(),
                 n);
      ParallelFor(p.m, 4, [&](int64_t from, int64_t to) {
        for (int64_t o = from; o < to; ++o) {
          const int64_t row = g * p.m + o;
          SolveRow(p, o, hw.data() + o * n, spec, lowest, solution.codes.data() + row * n,
                   &solution.params[row]);
        }
      });
    }
  });
  Score(layer, spec, &solution);
  return solution;
}

}  // namespace roundel::solver
