#include "lib/solver/optimal.h"

#include <algorithm>

#include "lib/solver/closest_vector.h"
#include "lib/solver/descent.h"
#include "lib/solver/ldlq.h"
#include "lib/solver/nearest.h"
#include "lib/solver/scales.h"

namespace roundel::solver {

using quant::Granularity;

namespace {

// Up to so many columns, all scales around the best are searched exactly.
constexpr int64_t kSmall = 16;

void Keep(const GridSpec& spec, const Solution& other, Solution* best) {
  KeepBetterRows(spec, other, other.errors, best->errors, best);
}

// Rounding to nearest of the original weights at SeqMSE's scales: what is to be beaten.
Solution Nearest(Layer layer, const GridSpec& spec) {
  std::vector<Problem> plain(layer.begin(), layer.end());
  for (Problem& p : plain) p.target = p.w;
  Solution solution = RoundNearest(plain, spec, SeqMseScales(plain, spec));
  Score(layer, spec, &solution);
  return solution;
}

Solution BestStart(Layer layer, const GridSpec& spec, int effort, int64_t n) {
  Solution best = LdlqWithScales(layer, spec);
  if (effort < 2) return best;
  const bool full = effort > 2;
  const int coarse = n <= 512 ? 14 : 8, fine = n <= 512 ? 7 : 4;
  for (const Order order : {Order::kNatural, Order::kReversed}) {
    if (order == Order::kReversed && n > 1024 && !full) continue;
    LdlqScaleOptions options{.order = order};
    if (!full) {
      options.coarse = coarse;
      options.fine = fine;
    }
    Keep(spec, LdlqWithScales(layer, spec, options), &best);
  }
  if (spec.granularity == Granularity::kChannel && (n <= 512 || full))
    Keep(spec, ExactScales(layer, spec), &best);
  return best;
}

// Exact codes at scales around the best one, with a refit after each.
int64_t SearchExactly(Layer layer, const GridSpec& spec, Solution* best) {
  const Params centre = best->params;
  const int steps = best->n <= kSmall ? 8 : 0;
  for (int i = -steps; i <= steps; ++i) {
    Params params = centre;
    for (quant::QParams& p : params) p.scale *= 1 + 0.02f * static_cast<float>(i);
    Solution trial = i == 0 ? *best : Ldlq(layer, spec, params);
    if (i != 0) CoordinateDescent(layer, spec, &trial);
    ClosestVector(layer, spec, &trial, {.max_nodes = 1 << 17});
    RefitScales(layer, spec, &trial);
    Keep(spec, trial, best);
  }
  return ClosestVector(layer, spec, best, {.max_nodes = 1 << 17});
}

// The last word of held-out data: the best of several solutions for each row.
void Choose(const GridSpec& spec, std::span<const Objective> held_out, const Solution& nearest,
            const Solution& start, OptimalResult* result) {
  result->held_out_nearest = OutputErrors(held_out, nearest, spec);
  std::vector<double> best = OutputErrors(held_out, result->solution, spec);
  const auto consider = [&](const Solution& other, const std::vector<double>& errors) {
    const int64_t replaced = KeepBetterRows(spec, other, errors, best, &result->solution);
    if (spec.granularity == Granularity::kTensor) {
      if (replaced > 0) best = errors;
    } else {
      for (size_t row = 0; row < best.size(); ++row) best[row] = std::min(best[row], errors[row]);
    }
    return replaced;
  };
  consider(start, OutputErrors(held_out, start, spec));
  result->kept_nearest = consider(nearest, result->held_out_nearest);
  result->held_out = std::move(best);
}

}  // namespace

OptimalResult Optimal(Layer layer, const GridSpec& spec, const OptimalOptions& options,
                      std::span<const Objective> held_out) {
  INVARIANT(held_out.empty() || held_out.size() == layer.size(), "held-out data of another layer");
  const int64_t n = layer.empty() ? 0 : layer[0].n;
  OptimalResult result;
  const Solution nearest = Nearest(layer, spec);
  result.nearest_errors = nearest.errors;
  Solution start = BestStart(layer, spec, options.effort, n);
  Keep(spec, nearest, &start);
  result.solution = start;
  Polish(layer, spec, &result.solution, {.pairs = options.effort > 1});
  if (n <= kClosestVectorColumns && options.effort > 1)
    result.proven = SearchExactly(layer, spec, &result.solution);
  if (!held_out.empty()) Choose(spec, held_out, nearest, start, &result);
  return result;
}

}  // namespace roundel::solver
