#include "lib/solver/optimal.h"

#include <algorithm>

#include "lib/solver/adaround.h"
#include "lib/solver/closest_vector.h"
#include "lib/solver/descent.h"
#include "lib/solver/ldlq.h"
#include "lib/solver/nearest.h"
#include "lib/solver/scales.h"
#include "lib/solver/vector_search.h"

namespace roundel::solver {

using quant::Granularity;

namespace {

// Up to this many columns, all scales around the best are searched exactly ...
constexpr int64_t kSmall = 16;
// ... all orders and the exact scales of nearest rounding are tried ...
constexpr int64_t kMedium = 768;
// ... a second order gets a separate scale search.
constexpr int64_t kLarge = 2048;
constexpr int kSeqMseCandidates = 20;
// Learning costs about a third of kIterations m n^2: the limit is a few seconds.
constexpr int kIterations = 600;
constexpr int64_t kLearnable = 600'000'000;

void Keep(const GridSpec& spec, const Solution& other, Solution* best) {
  KeepBetterRows(spec, other, other.errors, best->errors, best);
}

// Rounding to nearest of the original weights at SeqMSE's scales: the baseline.
Solution Nearest(Layer layer, const GridSpec& spec, const Factors& natural) {
  std::vector<Problem> plain;
  Layer originals = layer;
  if (std::any_of(layer.begin(), layer.end(), [](const Problem& p) { return p.target != p.w; })) {
    plain.assign(layer.begin(), layer.end());
    for (Problem& p : plain) p.target = p.w;
    originals = plain;
  }
  // Factors depend on H alone.
  const Params params =
      spec.granularity == Granularity::kBlock
          ? SeqMseScales(originals, spec)
          : SearchScales(originals, spec, natural,
                         {.feedback = false, .coarse = EvenCandidates(kSeqMseCandidates)});
  Solution solution = RoundNearest(originals, spec, params);
  if (!plain.empty()) Score(layer, spec, &solution);
  return solution;
}

// LDLQ in another order, with scales searched for it; keeps the rows that get better.
void TryOrder(Layer layer, const GridSpec& spec, const Factors& factors, bool full,
              Solution* best) {
  if (layer[0].n > kLarge && !full) {  // only codes
    Keep(spec, RoundVectorLanes(layer, spec, factors, best->params, true), best);
    return;
  }
  LdlqScaleOptions options;
  if (!full) options = {.coarse = 12, .fine = 7};
  const Search search = LdlqSearch(layer, spec, options);
  Keep(spec,
       spec.granularity == Granularity::kBlock
           ? SearchBlocks(layer, spec, factors, search)
           : RoundVectorLanes(layer, spec, factors, SearchScales(layer, spec, factors, search),
                              true),
       best);
}

Solution BestStart(Layer layer, const GridSpec& spec, int effort, const Factors& natural) {
  Solution best = LdlqWithScales(layer, spec);
  if (effort < 2 || best.codes.empty()) return best;
  const bool full = effort > 2;
  TryOrder(layer, spec, natural, full, &best);
  if (best.n <= kMedium || full)
    TryOrder(layer, spec, MakeFactors(layer, spec, Order::kReversed), full, &best);
  if (spec.granularity == Granularity::kChannel && (best.n <= kMedium || full))
    Keep(spec, ExactScales(layer, spec), &best);
  return best;
}

// Learned rounding at the scales found so far, then polishing: often better for layers with
// correlated inputs without outliers.
void TryLearning(Layer layer, const GridSpec& spec, const PolishOptions& polish, Solution* best) {
  Solution learned = AdaRound(layer, spec, best->params, {.iterations = kIterations});
  Polish(layer, spec, &learned, polish);
  Keep(spec, learned, best);
}

// Exact codes at scales around the best one, with a refit after each.
int64_t SearchExactly(Layer layer, const GridSpec& spec, Solution* best) {
  const Params center = best->params;
  const int steps = best->n <= kSmall ? 8 : 0;
  for (int i = -steps; i <= steps; ++i) {
    Params params = center;
    for (quant::QParams& p : params) p.scale *= 1 + 0.02f * static_cast<float>(i);
    Solution trial = i == 0 ? *best : Ldlq(layer, spec, params);
    if (i != 0) CoordinateDescent(layer, spec, &trial);
    ClosestVector(layer, spec, &trial, {.max_nodes = 1 << 17});
    RefitScales(layer, spec, &trial);
    Keep(spec, trial, best);
  }
  return ClosestVector(layer, spec, best, {.max_nodes = 1 << 17});
}

// The final choice: for each row the best of several solutions on held-out data.
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
  const Factors natural = MakeFactors(layer, spec, Order::kNatural);
  const Solution nearest = Nearest(layer, spec, natural);
  result.nearest_errors = nearest.errors;
  Solution start = BestStart(layer, spec, options.effort, natural);
  Keep(spec, nearest, &start);
  result.solution = start;
  const PolishOptions polish{.pairs = options.effort > 1};
  Polish(layer, spec, &result.solution, polish);
  const bool small = NumRows(layer) * n * n <= kLearnable && options.effort > 1;
  if (n > kSmall && !IsLowRank(layer) && (small || options.effort > 2))
    TryLearning(layer, spec, polish, &result.solution);
  if (n <= kClosestVectorColumns && options.effort > 1)
    result.proven = SearchExactly(layer, spec, &result.solution);
  if (!held_out.empty()) Choose(spec, held_out, nearest, start, &result);
  return result;
}

}  // namespace roundel::solver
