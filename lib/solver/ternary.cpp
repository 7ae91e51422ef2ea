#include "lib/solver/ternary.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/solver/descent.h"
#include "lib/solver/layer_state.h"
#include "lib/solver/ldlq.h"
#include "lib/solver/nearest.h"

namespace roundel::solver {
namespace {

// |w*| of what each set of parameters covers.
std::vector<std::vector<float>> MagnitudesOf(Layer layer, const GridSpec& spec) {
  const int64_t rows = NumRows(layer), n = layer.empty() ? 0 : layer[0].n;
  std::vector<std::vector<float>> magnitudes(spec.NumParams(rows, n));
  for (int64_t row = 0; row < rows; ++row) {
    const Problem& p = layer[row / layer[0].m];
    for (int64_t j = 0; j < n; ++j)
      magnitudes[spec.ParamIndex(row, j, n)].push_back(std::fabs(p.target[row % p.m * n + j]));
  }
  return magnitudes;
}

double Mean(const std::vector<float>& values) {
  double sum = 0;
  for (const float v : values) sum += v;
  return sum / static_cast<double>(std::max<size_t>(1, values.size()));
}

// The k largest become s and the rest 0: the error falls by (sum of the k largest)^2 / k, and s is
// their mean. No other set of k and no other scale does better.
double LeastSquaresScale(std::vector<float> magnitudes) {
  std::sort(magnitudes.rbegin(), magnitudes.rend());
  double sum = 0, best = -1, scale = 0;
  for (size_t k = 0; k < magnitudes.size(); ++k) {
    sum += magnitudes[k];
    const double count = static_cast<double>(k + 1), gain = sum * sum / count;
    if (gain > best) {
      best = gain;
      scale = sum / count;
    }
  }
  return scale;
}

quant::QParams ScaleOnly(double scale) {
  return {scale >= std::numeric_limits<float>::min() ? static_cast<float>(scale) : 1.0f, 0};
}

template <typename ScaleOf>
Params ScalesBy(Layer layer, const GridSpec& spec, const ScaleOf& scale_of) {
  Params params;
  for (const std::vector<float>& magnitudes : MagnitudesOf(layer, spec))
    params.push_back(ScaleOnly(scale_of(magnitudes)));
  return params;
}

void Keep(const GridSpec& spec, const Solution& other, Solution* best) {
  KeepBetterRows(spec, other, other.errors, best->errors, best);
}

// Changes signs as long as that helps; true if any changed.
bool FlipSigns(RowState row) {
  bool any = false;
  for (int sweep = 0; sweep < 20; ++sweep) {
    bool flipped = false;
    for (int64_t j = 0; j < row.n(); ++j) {
      // x -> -x changes the error by 4 (x s g_j + s^2 H_jj).
      const float scale = row.at(j).scale,
                  curvature = scale * scale * row.problem.H[j * row.n() + j];
      if (!(row.x[j] * scale * row.g[j] + curvature < -1e-5f * curvature)) continue;
      row.Move(j, -2 * row.x[j]);
      flipped = any = true;
    }
    if (!flipped) break;
  }
  return any;
}

}  // namespace

quant::Grid TernaryGrid() {
  return {.bits = 2, .is_signed = true, .symmetric = true, .narrow_range = true};
}

Solution Ternary(Layer layer, const GridSpec& spec, TernaryMethod method) {
  const Solution by_mean = RoundNearest(layer, spec, ScalesBy(layer, spec, Mean));
  if (method == TernaryMethod::kAbsMean) return by_mean;
  Solution best = RoundNearest(layer, spec, ScalesBy(layer, spec, LeastSquaresScale));
  if (method == TernaryMethod::kLeastSquares) return best;
  Keep(spec, by_mean, &best);
  Keep(spec, LdlqWithScales(layer, spec), &best);
  Polish(layer, spec, &best);
  return best;
}

Solution Binary(Layer layer, const GridSpec& spec, BinaryMethod method) {
  Solution solution = EmptySolution(layer, spec, ScalesBy(layer, spec, Mean));
  const int64_t n = solution.n;
  for (int64_t row = 0; row < solution.rows; ++row) {
    const Problem& p = layer[row / layer[0].m];
    for (int64_t j = 0; j < n; ++j)
      solution.codes[row * n + j] = p.target[row % p.m * n + j] < 0 ? -1 : 1;
  }
  Score(layer, spec, &solution);
  if (method == BinaryMethod::kAbsMean || solution.codes.empty()) return solution;
  RefitScales(layer, spec, &solution);
  for (int round = 0; round < 6; ++round) {
    const double before = solution.error();
    LayerState state(layer, spec, solution);
    ParallelFor(solution.rows, 4, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) FlipSigns(state.Row(row));
    });
    state.Commit(&solution);
    RefitScales(layer, spec, &solution);
    if (!(solution.error() < before)) break;
  }
  return solution;
}

}  // namespace roundel::solver
