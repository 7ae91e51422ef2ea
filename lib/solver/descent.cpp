#include "lib/solver/descent.h"

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/solver/low_rank_descent.h"
#include "lib/solver/refit.h"
#include "lib/solver/row_moves.h"

namespace roundel::solver {

using quant::Granularity;

namespace {

// Data of polishing other than the state; made once for several rounds.
struct Tools {
  std::vector<Partners> partners;  // empty: no pair moves
  OffsetTerms terms;
  int64_t rows_per_group;
};

Tools MakeTools(Layer layer, const GridSpec& spec, bool pairs, bool refit) {
  Tools tools{.rows_per_group = layer.empty() ? 1 : std::max<int64_t>(1, layer[0].m)};
  if (refit) tools.terms = MakeOffsetTerms(layer, spec);
  if (!pairs) return tools;
  tools.partners.resize(layer.size());
  ParallelFor(static_cast<int64_t>(layer.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) tools.partners[g] = FindPartners(layer[g]);
  });
  return tools;
}

bool MoveCodes(const Tools& tools, int64_t row, int sweeps, LayerState* state) {
  RowState view = state->Row(row);
  if (tools.partners.empty()) return MoveSingles(view, sweeps);
  return MovePairs(view, tools.partners[row / tools.rows_per_group], sweeps);
}

template <typename Body>
void ForRows(LayerState* state, const Body& body) {
  ParallelFor(state->rows(), 4, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

constexpr int kSweeps = 20;
constexpr int kPairSweeps = 4;

}  // namespace

void CoordinateDescent(Layer layer, const GridSpec& spec, Solution* solution, int sweeps) {
  if (solution->codes.empty()) return;
  if (IsLowRank(layer)) return DescendLowRank(layer, spec, sweeps, false, solution);
  const Tools tools = MakeTools(layer, spec, false, false);
  LayerState state(layer, spec, *solution);
  ForRows(&state, [&](int64_t row) { MoveCodes(tools, row, sweeps, &state); });
  state.Commit(solution);
}

void RefitScales(Layer layer, const GridSpec& spec, Solution* solution) {
  Polish(layer, spec, solution, {.rounds = 0});
}

void Polish(Layer layer, const GridSpec& spec, Solution* solution, const PolishOptions& options) {
  if (solution->codes.empty()) return;
  if (IsLowRank(layer))
    return DescendLowRank(layer, spec, options.rounds > 0 ? kSweeps : 0, true, solution);
  const Tools tools = MakeTools(layer, spec, options.pairs && options.rounds > 0, true);
  const int sweeps = options.pairs ? kPairSweeps : kSweeps;
  LayerState state(layer, spec, *solution);
  if (spec.granularity == Granularity::kTensor) {
    RefitTensor(spec, tools.terms, tools.rows_per_group, &state);
    for (int round = 0; round < options.rounds; ++round) {
      ForRows(&state, [&](int64_t row) { MoveCodes(tools, row, sweeps, &state); });
      RefitTensor(spec, tools.terms, tools.rows_per_group, &state);
    }
  } else {
    ForRows(&state, [&](int64_t row) {
      RefitRow(spec, tools.terms, tools.rows_per_group, row, &state);
      for (int round = 0; round < options.rounds; ++round) {
        if (!MoveCodes(tools, row, sweeps, &state)) break;
        RefitRow(spec, tools.terms, tools.rows_per_group, row, &state);
      }
    });
  }
  state.Commit(solution);
}

}  // namespace roundel::solver
