#include "lib/solver/solution.h"

#include <algorithm>
#include <numeric>

#include "lib/base/parallel.h"
#include "lib/base/text.h"

namespace roundel::solver {

using quant::Granularity;
using quant::QParams;

int64_t GridSpec::ColumnsPerBlock(int64_t n) const {
  return granularity == Granularity::kBlock ? block_size : std::max<int64_t>(1, n);
}

int64_t GridSpec::Blocks(int64_t n) const {
  const int64_t columns = ColumnsPerBlock(n);
  return std::max<int64_t>(1, (n + columns - 1) / columns);
}

size_t GridSpec::ParamIndex(int64_t row, int64_t column, int64_t n) const {
  if (granularity == Granularity::kTensor) return 0;
  return static_cast<size_t>(row * Blocks(n) + column / ColumnsPerBlock(n));
}

size_t GridSpec::NumParams(int64_t rows, int64_t n) const {
  return granularity == Granularity::kTensor ? 1 : static_cast<size_t>(rows * Blocks(n));
}

int64_t NumRows(Layer layer) {
  return layer.empty() ? 0 : static_cast<int64_t>(layer.size()) * layer[0].m;
}

bool IsLowRank(Layer layer) { return !layer.empty() && layer[0].low_rank.used(); }

Status CheckSpec(Layer layer, const GridSpec& spec) {
  if (spec.grid.bits < 2 || spec.grid.bits > 16)
    return UsageError(
        StrCat("weights of ", spec.grid.bits, " bits cannot be solved for: take 2 to 16"));
  if (spec.granularity == Granularity::kBlock && spec.block_size < 1)
    return UsageError("blocks of columns need a size of at least 1");
  if (spec.signed_scale && !(spec.grid.symmetric && spec.grid.is_signed))
    return UsageError("scales with a sign need a signed symmetric grid");
  for (const Problem& p : layer) {
    const auto m = static_cast<size_t>(p.m), n = static_cast<size_t>(p.n);
    const LowRank& low = p.low_rank;
    const bool fits =
        low.used() ? low.ridge.size() == n && low.u.size() == n * static_cast<size_t>(low.columns)
                   : p.H.size() == n * n;
    if (p.m != layer[0].m || p.n != layer[0].n || !fits || p.target.size() != m * n ||
        p.w.size() != m * n)
      return UsageError("the groups of a layer differ in size");
  }
  return OkStatus();
}

double Solution::error() const { return std::accumulate(errors.begin(), errors.end(), 0.0); }

std::vector<float> Dequantize(const Solution& solution, const GridSpec& spec) {
  std::vector<float> values(solution.codes.size());
  const int64_t n = solution.n;
  ParallelFor(solution.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t j = 0; j < n; ++j)
        values[row * n + j] = quant::Dequantize(solution.codes[row * n + j],
                                                solution.params[spec.ParamIndex(row, j, n)]);
  });
  return values;
}

namespace {

// [rows] of score(group, its m rows of w^), for all groups.
template <typename ScoreGroup>
std::vector<double> ScoreGroups(int64_t groups, int64_t m, const Solution& solution,
                                const GridSpec& spec, const ScoreGroup& score) {
  const std::vector<float> values = Dequantize(solution, spec);
  std::vector<double> errors(static_cast<size_t>(solution.rows));
  const int64_t size = m * solution.n;
  ParallelFor(groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const std::vector<double> part = score(
          g, std::span(values).subspan(static_cast<size_t>(g * size), static_cast<size_t>(size)));
      std::copy(part.begin(), part.end(), errors.begin() + g * m);
    }
  });
  return errors;
}

}  // namespace

void Score(Layer layer, const GridSpec& spec, Solution* solution) {
  solution->errors = ScoreGroups(
      static_cast<int64_t>(layer.size()), layer.empty() ? 0 : layer[0].m, *solution, spec,
      [&](int64_t g, std::span<const float> values) { return RowErrors(layer[g], values); });
}

std::vector<double> OutputErrors(std::span<const Objective> objectives, const Solution& solution,
                                 const GridSpec& spec) {
  return ScoreGroups(static_cast<int64_t>(objectives.size()),
                     objectives.empty() ? 0 : objectives[0].m, solution, spec,
                     [&](int64_t g, std::span<const float> values) {
                       return OutputErrors(objectives[g], values);
                     });
}

int64_t KeepBetterRows(const GridSpec& spec, const Solution& other,
                       std::span<const double> other_errors, std::span<const double> best_errors,
                       Solution* best) {
  if (spec.granularity == Granularity::kTensor) {
    const double mine = std::accumulate(best_errors.begin(), best_errors.end(), 0.0);
    if (!(std::accumulate(other_errors.begin(), other_errors.end(), 0.0) < mine)) return 0;
    *best = other;
    return best->rows;
  }
  int64_t replaced = 0;
  const int64_t n = best->n, blocks = spec.Blocks(n);
  for (int64_t row = 0; row < best->rows; ++row) {
    if (!(other_errors[row] < best_errors[row])) continue;
    std::copy_n(other.codes.begin() + row * n, n, best->codes.begin() + row * n);
    std::copy_n(other.params.begin() + row * blocks, blocks, best->params.begin() + row * blocks);
    best->errors[row] = other.errors[row];
    ++replaced;
  }
  return replaced;
}

}  // namespace roundel::solver
