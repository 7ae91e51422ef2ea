#include "lib/layers/solve_layer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>

#include "lib/base/text.h"
#include "lib/solver/nearest.h"

namespace roundel::layers {
namespace {

using Objectives = std::vector<solver::Objective>;

// The ridge of the rounding error, the same for all layers; the best weights for the data may need
// a larger one.
constexpr double kRoundingRidge = 0.2;

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// The errors of a solution on some data, together with those of another one.
ErrorTotals Totals(const Objectives& objectives, const solver::Solution& nearest,
                   const solver::Solution& solution, const solver::GridSpec& spec) {
  ErrorTotals totals{.before = Sum(solver::OutputErrors(objectives, nearest, spec)),
                     .after = Sum(solver::OutputErrors(objectives, solution, spec))};
  for (const solver::Objective& objective : objectives) totals.power += Sum(objective.power);
  return totals;
}

// One of the two kinds of statistics is empty.
Result<Objectives> MakeObjectives(const std::vector<solver::Gram>& grams,
                                  const std::vector<solver::Columns>& columns,
                                  const UnfoldedLayer& layer, bool free_bias) {
  Objectives objectives;
  for (size_t g = 0; g < grams.size() + columns.size(); ++g) {
    const std::vector<float>& w = layer.weight[g];
    ASSIGN_OR_RETURN(solver::Objective objective,
                     columns.empty() ? solver::MakeObjective(grams[g], w, free_bias)
                                     : solver::MakeObjective(columns[g], w, free_bias));
    objectives.push_back(std::move(objective));
  }
  return objectives;
}

Result<std::vector<solver::Problem>> Problems(const LayerTask& task,
                                              const solver::ProblemOptions& options) {
  std::vector<solver::Problem> problems;
  for (const solver::Objective& train : task.train) {
    ASSIGN_OR_RETURN(solver::Problem problem, solver::MakeProblem(train, options));
    problems.push_back(std::move(problem));
  }
  return problems;
}

double HeldOutError(const LayerTask& task, const std::vector<solver::Problem>& problems) {
  double error = 0;
  for (size_t g = 0; g < problems.size(); ++g)
    error += Sum(solver::OutputErrors(task.held_out[g], problems[g].target));
  return error;
}

Status SetProblems(const SolveOptions& options, LayerTask* task) {
  solver::ProblemOptions problem = options.problem;
  problem.free_bias = options.free_bias;
  ASSIGN_OR_RETURN(task->problems, Problems(*task, problem));
  if (task->held_out.empty()) return OkStatus();
  double least = HeldOutError(*task, task->problems);
  for (double ridge : options.ridges) {
    problem.ridge_min = problem.ridge_max = ridge;
    ASSIGN_OR_RETURN(std::vector<solver::Problem> made, Problems(*task, problem));
    const double error = HeldOutError(*task, made);
    if (error < least) task->problems = std::move(made);
    least = std::min(least, error);
  }
  if (!options.ridges.empty())
    for (size_t g = 0; g < task->problems.size(); ++g)
      solver::SetRidge(task->train[g], kRoundingRidge, &task->problems[g]);
  return OkStatus();
}

// Products and the bias are added in an int32 accumulator with scale s_x s_w. calibrate has raised
// the scales of channels with very small weights so that the bias fits. Rows for which the solver
// chose a scale that is too small get these scales back. True if there were such rows.
bool KeepBiasInRange(const Session& session, const UnfoldedLayer& layer,
                     const std::vector<double>& bias, const solver::Solution& calibrated,
                     solver::Solution* solution) {
  const auto source = session.encodings.find(layer.layer.input());
  const quant::Granularity granularity = layer.spec.granularity;
  if (source == session.encodings.end() || granularity == quant::Granularity::kBlock) return false;
  const double unit = std::fabs(source->second.params[0].scale * layer.layer.weight_factor);
  bool changed = false;
  const size_t rows = bias.size(), n = static_cast<size_t>(layer.n);
  for (size_t row = 0; row < rows; ++row) {
    const size_t at = granularity == quant::Granularity::kChannel ? row : 0;
    if (std::fabs(bias[row]) < 0x1p30 * unit * std::fabs(solution->params[at].scale)) continue;
    if (granularity == quant::Granularity::kTensor) {
      *solution = calibrated;
      return true;
    }
    changed = true;
    solution->params[row] = calibrated.params[row];
    std::copy_n(calibrated.codes.begin() + static_cast<int64_t>(row * n), n,
                solution->codes.begin() + static_cast<int64_t>(row * n));
  }
  return changed;
}

// The numbers of the report: sums over the pieces of a layer.
struct Account {
  ErrorTotals train, held_out;
  std::optional<double> bound;
  bool has_held_out = false;
  std::string note;
};

report::LayerOutcome OutcomeOf(const Account& account, const UnfoldedLayer& layer,
                               const LayerStatistics& statistics) {
  report::LayerOutcome outcome{.node = layer.layer.node->DisplayName(),
                               .error_before = account.train.RelativeBefore(),
                               .error_after = account.train.RelativeAfter(),
                               .bound = account.bound,
                               .columns = statistics.columns,
                               .inputs = layer.n,
                               .on_columns = statistics.apart(),
                               .note = account.note};
  if (account.has_held_out) {
    outcome.held_out_before = account.held_out.RelativeBefore();
    outcome.held_out_after = account.held_out.RelativeAfter();
  }
  return outcome;
}

// The error of the best real weights, relative to the output's power: no codes have a lower one.
// The ridge is only for the sums; without it they may be too close to singular for a bound.
std::optional<double> LowerBound(const LayerTask& task, SolveOptions options) {
  if (!options.problem.asymmetric) return 0.0;
  options.problem.free_bias = options.free_bias;
  options.problem.ridge_min = options.problem.ridge_max = 1e-6;
  const auto problems = Problems(task, options.problem);
  if (!problems.ok()) return std::nullopt;
  double error = 0, power = 0;
  for (size_t g = 0; g < problems->size(); ++g) {
    error += Sum(solver::OutputErrors(task.train[g], (*problems)[g].target));
    power += Sum(task.train[g].power);
  }
  return power > 0 ? error / power : 0.0;
}

// Solves the rows of `layer`; adds their part to the account.
Result<SolvedLayer> SolveRows(const Session& session, const UnfoldedLayer& layer,
                              const quant::Encoding& calibrated, const LayerStatistics& statistics,
                              const walk::LayerInputs* inputs, const SolveOptions& options,
                              const SolveLayer& solve, Account* account) {
  LayerTask task{.layer = layer, .params = ParamsOf(layer, calibrated), .inputs = inputs};
  ASSIGN_OR_RETURN(task.train, MakeObjectives(statistics.train, statistics.train_columns, layer,
                                              options.free_bias));
  ASSIGN_OR_RETURN(task.held_out, MakeObjectives(statistics.held_out, statistics.held_out_columns,
                                                 layer, options.free_bias));
  RETURN_IF_ERROR(SetProblems(options, &task));
  RETURN_IF_ERROR(solver::CheckSpec(task.problems, layer.spec));
  const solver::Solution nearest = solver::RoundNearest(task.problems, layer.spec, task.params);
  SolvedLayer solved;
  ASSIGN_OR_RETURN(solved.solution, solve(task));
  const auto best_bias = [&] {
    return BestBias(session, layer, statistics, solved.solution, options.free_bias);
  };
  solved.bias = best_bias();
  if (KeepBiasInRange(session, layer, solved.bias, nearest, &solved.solution))
    solved.bias = best_bias();
  account->train.Add(Totals(task.train, nearest, solved.solution, layer.spec));
  account->held_out.Add(Totals(task.held_out, nearest, solved.solution, layer.spec));
  account->has_held_out = !task.held_out.empty();
  account->note = task.note;
  // Fewer columns than inputs can be fitted exactly: then the bound is meaningless.
  if (!statistics.apart()) account->bound = LowerBound(task, options);
  return solved;
}

// Appends the rows of `part`, which follow those of `whole`.
void Append(const SolvedLayer& part, SolvedLayer* whole) {
  solver::Solution& to = whole->solution;
  const solver::Solution& from = part.solution;
  to.rows += from.rows;
  to.n = from.n;
  to.codes.insert(to.codes.end(), from.codes.begin(), from.codes.end());
  to.params.insert(to.params.end(), from.params.begin(), from.params.end());
  to.errors.insert(to.errors.end(), from.errors.begin(), from.errors.end());
  whole->bias.insert(whole->bias.end(), part.bias.begin(), part.bias.end());
}

}  // namespace

void ErrorTotals::Add(const ErrorTotals& other) {
  before += other.before;
  after += other.after;
  power += other.power;
}

std::vector<double> BestBias(const Session& session, const UnfoldedLayer& layer,
                             const LayerStatistics& statistics, const solver::Solution& solution,
                             bool free_bias) {
  const std::vector<double> all = graph::ReadBias(*session.model.graph, layer.layer);
  const auto first = all.begin() + layer.first_row;
  std::vector<double> bias(first, first + layer.rows());
  if (!free_bias) return bias;
  const std::vector<float> rounded = solver::Dequantize(solution, layer.spec);
  const auto size = static_cast<size_t>(layer.m * layer.n);
  // The shift is linear in the sums: over all samples it is the weighted mean of both parts.
  const auto add = [&](const auto& train, const auto& held_out) {
    for (size_t g = 0; g < train.size(); ++g) {
      const auto* held = held_out.empty() ? nullptr : &held_out[g];
      const auto total = static_cast<double>(train[g].count + (held ? held->count : 0));
      for (const auto* part : {&train[g], held}) {
        if (!part || part->count == 0) continue;
        const std::vector<double> shift = solver::BestBiasShift(
            *part, layer.weight[g], std::span(rounded).subspan(g * size, size));
        const double factor = layer.layer.weight_factor * static_cast<double>(part->count) / total;
        for (size_t o = 0; o < shift.size(); ++o)
          bias[g * static_cast<size_t>(layer.m) + o] += factor * shift[o];
      }
    }
  };
  add(statistics.train, statistics.held_out);
  add(statistics.train_columns, statistics.held_out_columns);
  return bias;
}

Result<SolvedLayer> SolveFrom(const Session& session, const UnfoldedLayer& layer,
                              const quant::Encoding& calibrated, const LayerStatistics& statistics,
                              const walk::LayerInputs* inputs, const SolveOptions& options,
                              const SolveLayer& solve) {
  const auto start = std::chrono::steady_clock::now();
  Account account;
  SolvedLayer solved;
  if (!layer.weight.empty()) {
    ASSIGN_OR_RETURN(solved, SolveRows(session, layer, calibrated, statistics, inputs, options,
                                       solve, &account));
  } else {
    const graph::Graph& graph = *session.model.graph;
    const int64_t step = options.rows_at_once > 0 ? options.rows_at_once : layer.m;
    for (int64_t first = 0; first < layer.m; first += step) {
      const int64_t count = std::min(step, layer.m - first);
      const UnfoldedLayer rows =
          layer.groups > 1 ? Unfold(graph, layer) : UnfoldRows(graph, layer, first, count);
      ASSIGN_OR_RETURN(const SolvedLayer part, SolveRows(session, rows, calibrated, statistics,
                                                         inputs, options, solve, &account));
      Append(part, &solved);
    }
    if (step < layer.m) account.note.clear();  // it would be that of the last rows only
  }
  solved.outcome = OutcomeOf(account, layer, statistics);
  solved.outcome.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return solved;
}

}  // namespace roundel::layers
