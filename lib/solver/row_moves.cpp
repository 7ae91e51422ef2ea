#include "lib/base/vectorize.h"
ROUNDEL_FAST_LOOPS

#include "lib/solver/row_moves.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace roundel::solver {
namespace {

constexpr float kNever = 1e30f;   // the cost of a move out of the grid
constexpr float kMargin = 1e-5f;  // gains below this share of a step's curvature are noise
constexpr int64_t kNearby = 32;   // partners per column where not all pairs are tried

// Costs of single steps: s^2 H_jj -+ 2 s g_j for x_j + 1 and x_j - 1.
struct StepCosts {
  std::vector<float> curvature, step;  // [n] s_j^2 H_jj, s_j
  std::vector<float> up, down;         // [n]

  explicit StepCosts(const RowState& row) {
    const auto n = static_cast<size_t>(row.n());
    curvature.resize(n);
    step.resize(n);
    up.resize(n);
    down.resize(n);
    for (int64_t j = 0; j < row.n(); ++j) {
      step[j] = row.at(j).scale;
      curvature[j] = step[j] * step[j] * row.problem.H[j * row.n() + j];
    }
    Refresh(row);
  }
  void Refresh(const RowState& row);
  float Cost(int64_t j, float direction) const { return direction > 0 ? up[j] : down[j]; }
};

ROUNDEL_VECTORIZE_FUSED
void FillCosts(int64_t n, const float* curvature, const float* step, const float* g, const float* x,
               float low, float high, float* up, float* down) {
  for (int64_t j = 0; j < n; ++j) {
    const float slope = 2 * step[j] * g[j];
    up[j] = x[j] < high ? curvature[j] - slope : kNever;
    down[j] = x[j] > low ? curvature[j] + slope : kNever;
  }
}

void StepCosts::Refresh(const RowState& row) {
  for (int64_t j = 0; j < row.n(); j += row.columns) {
    const Levels& levels = row.at(j);
    FillCosts(std::min(row.columns, row.n() - j), curvature.data() + j, step.data() + j, row.g + j,
              row.x + j, levels.low, levels.high, up.data() + j, down.data() + j);
  }
}

// The least of up_j + c_j and down_j - c_j, c_j = factor s_j H_ij: what a second step adds to a
// first.
ROUNDEL_VECTORIZE_FUSED
float LeastSecond(int64_t n, float factor, const float* h, const float* step, const float* up,
                  const float* down) {
  float least[16];
  std::fill_n(least, 16, kNever);
  int64_t j = 0;
  for (; j + 16 <= n; j += 16)
    for (int64_t l = 0; l < 16; ++l) {
      const float both = factor * step[j + l] * h[j + l];
      const float a = up[j + l] + both, b = down[j + l] - both;
      const float c = a < b ? a : b;
      least[l] = c < least[l] ? c : least[l];
    }
  for (; j < n; ++j) {
    const float both = factor * step[j] * h[j];
    least[0] = std::min(least[0], std::min(up[j] + both, down[j] - both));
  }
  return *std::min_element(least, least + 16);
}

struct Pair {
  float change = 0;
  int64_t j = -1;
  float first = 0, second = 0;  // directions
};

void Consider(const StepCosts& costs, const float* h, int64_t i, int64_t j, float first,
              Pair* best) {
  const float both = 2 * first * costs.step[i] * costs.step[j] * h[j];
  for (const float second : {1.0f, -1.0f}) {
    const float change = costs.Cost(i, first) + costs.Cost(j, second) + second * both;
    if (change < best->change) *best = {change, j, first, second};
  }
}

// The best partner of column i, in later columns or in the list.
Pair BestPair(const RowState& row, const Partners& partners, const StepCosts& costs,
              float largest_step, int64_t i) {
  const int64_t n = row.n();
  const float* h = row.problem.H.data() + i * n;
  Pair best{.change = -kMargin * costs.curvature[i]};
  for (const float first : {1.0f, -1.0f}) {
    const float cost = costs.Cost(i, first);
    // A second step has a separate cost; its gain is bounded by the correlation.
    if (cost >= 2 * std::fabs(costs.step[i]) * largest_step * partners.largest[i]) continue;
    if (partners.per_column > 0) {
      for (int64_t k = 0; k < partners.per_column; ++k)
        Consider(costs, h, i, partners.nearby[i * partners.per_column + k], first, &best);
      continue;
    }
    const int64_t from = i + 1;
    const float least =
        LeastSecond(n - from, 2 * first * costs.step[i], h + from, costs.step.data() + from,
                    costs.up.data() + from, costs.down.data() + from);
    if (cost + least >= best.change) continue;
    for (int64_t j = from; j < n; ++j) Consider(costs, h, i, j, first, &best);
  }
  return best;
}

}  // namespace

bool MoveSingles(RowState& row, int sweeps) {
  const int64_t n = row.n();
  bool any = false;
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    bool moved = false;
    for (int64_t j = 0; j < n; ++j) {
      const Levels& levels = row.at(j);
      const float curvature = levels.scale * row.problem.H[j * n + j], slope = row.g[j];
      if (!(std::fabs(slope) > (0.5f + kMargin) * std::fabs(curvature)) || curvature == 0) continue;
      float x = row.x[j] + std::nearbyint(slope / curvature);
      x = x > levels.low ? x : levels.low;
      x = x < levels.high ? x : levels.high;
      if (x == row.x[j]) continue;
      row.Move(j, x - row.x[j]);
      moved = any = true;
    }
    if (!moved) break;
  }
  return any;
}

bool MovePairs(RowState& row, const Partners& partners, int sweeps) {
  bool any = MoveSingles(row, sweeps);
  StepCosts costs(row);
  float largest_step = 0;
  for (const Levels& levels : row.levels)
    largest_step = std::max(largest_step, std::fabs(levels.scale));
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    bool moved = false;
    for (int64_t i = 0; i < row.n(); ++i) {
      const Pair pair = BestPair(row, partners, costs, largest_step, i);
      if (pair.j < 0) continue;
      row.Move(i, pair.first);
      row.Move(pair.j, pair.second);
      costs.Refresh(row);
      moved = any = true;
    }
    if (!moved) break;
    if (MoveSingles(row, sweeps)) costs.Refresh(row);
  }
  return any;
}

Partners FindPartners(const Problem& problem) {
  const int64_t n = problem.n;
  Partners partners{.largest = std::vector<float>(static_cast<size_t>(n))};
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      if (i != j)
        partners.largest[i] = std::max(partners.largest[i], std::fabs(problem.H[i * n + j]));
  if (n <= kAllPairs) return partners;
  partners.per_column = kNearby;
  partners.nearby.resize(static_cast<size_t>(n * kNearby));
  std::vector<float> correlation(static_cast<size_t>(n));
  std::vector<int32_t> columns(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const float h = problem.H[i * n + j], power = problem.H[j * n + j];
      correlation[j] = i != j && power > 0 ? h * h / power : -1;
    }
    std::iota(columns.begin(), columns.end(), 0);
    std::nth_element(
        columns.begin(), columns.begin() + kNearby, columns.end(), [&](int32_t a, int32_t b) {
          return correlation[a] != correlation[b] ? correlation[a] > correlation[b] : a < b;
        });
    std::sort(columns.begin(), columns.begin() + kNearby);
    std::copy_n(columns.begin(), kNearby, partners.nearby.begin() + i * kNearby);
  }
  return partners;
}

}  // namespace roundel::solver
