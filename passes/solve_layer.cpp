#include "passes/solve_layer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>

#include "lib/base/text.h"
#include "lib/solver/nearest.h"

namespace roundel::passes {
namespace {

using Objectives = std::vector<solver::Objective>;

// What the data says of the best weights may need a strong hand to hold it; errors of rounding are judged
// with the same share beside the data for all layers.
constexpr double kRoundingRidge = 0.2;

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// Error of the layer's output relative to the output's power; 0 if it has none.
double Relative(const Objectives& objectives, const solver::Solution& solution,
                const solver::GridSpec& spec) {
  double power = 0;
  for (const solver::Objective& objective : objectives) power += Sum(objective.power);
  return power > 0 ? Sum(solver::OutputErrors(objectives, solution, spec)) / power : 0;
}

Result<Objectives> MakeObjectives(const std::vector<solver::Gram>& grams, const UnfoldedLayer& layer,
                                  bool free_bias) {
  Objectives objectives;
  for (size_t g = 0; g < grams.size(); ++g) {
    ASSIGN_OR_RETURN(solver::Objective objective,
                     solver::MakeObjective(grams[g], layer.weight[g], free_bias));
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

// Products and the bias meet in an int32 accumulator whose unit is s_x s_w. calibrate has raised the
// scales of channels with hardly any weight so that the bias fits; rows for which the solver chose a
// scale that is too small go back to those. True if there were such rows.
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

std::string Detail(const LayerTask& task, const LayerStatistics& statistics,
                   const solver::Solution& nearest, std::optional<double> bound,
                   const SolvedLayer& solved) {
  const solver::GridSpec& spec = task.layer.spec;
  std::string detail = StrFormat("error %.3g -> %.3g", solved.before, solved.after);
  if (bound) detail += StrFormat(", bound %.3g", *bound);
  if (!task.held_out.empty())
    detail += StrFormat(" (held out %.3g -> %.3g)", Relative(task.held_out, nearest, spec),
                        Relative(task.held_out, solved.solution, spec));
  detail += StrCat(", ", statistics.columns, " columns of ", task.layer.n);
  if (solved.starved) detail += " (fewer than the layer has inputs)";
  if (!task.note.empty()) detail += ", " + task.note;
  return detail;
}

// What the best real weights reach, relative to the output's power: no codes do better. The ridge is
// there for the sums' sake alone; without it they may be too close to singular to tell.
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

}  // namespace

std::vector<double> BestBias(const Session& session, const UnfoldedLayer& layer,
                             const LayerStatistics& statistics, const solver::Solution& solution,
                             bool free_bias) {
  std::vector<double> bias = graph::ReadBias(*session.model.graph, layer.layer);
  if (!free_bias) return bias;
  const std::vector<float> rounded = solver::Dequantize(solution, layer.spec);
  const auto size = static_cast<size_t>(layer.m * layer.n);
  for (size_t g = 0; g < statistics.train.size(); ++g) {
    // The shift is linear in the sums: that over all samples is the mean of both parts'.
    const solver::Gram& train = statistics.train[g];
    const solver::Gram* held = statistics.held_out.empty() ? nullptr : &statistics.held_out[g];
    const double total = train.count + (held ? held->count : 0);
    for (const solver::Gram* part : {&train, held}) {
      if (!part || part->count == 0) continue;
      const std::vector<double> shift = solver::BestBiasShift(
          *part, layer.weight[g], std::span(rounded).subspan(g * size, size));
      const double factor = layer.layer.weight_factor * part->count / total;
      for (size_t o = 0; o < shift.size(); ++o)
        bias[g * static_cast<size_t>(layer.m) + o] += factor * shift[o];
    }
  }
  return bias;
}

Result<SolvedLayer> SolveFrom(const Session& session, const UnfoldedLayer& layer,
                              const quant::Encoding& calibrated, const LayerStatistics& statistics,
                              const engine::LayerInputs* inputs, const SolveOptions& options,
                              const SolveLayer& solve) {
  const auto start = std::chrono::steady_clock::now();
  LayerTask task{.layer = layer, .params = ParamsOf(layer, calibrated), .inputs = inputs};
  ASSIGN_OR_RETURN(task.train, MakeObjectives(statistics.train, layer, options.free_bias));
  ASSIGN_OR_RETURN(task.held_out, MakeObjectives(statistics.held_out, layer, options.free_bias));
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
  solved.before = Relative(task.train, nearest, layer.spec);
  solved.after = Relative(task.train, solved.solution, layer.spec);
  solved.starved = statistics.columns < layer.n;
  solved.detail = Detail(task, statistics, nearest, LowerBound(task, options), solved);
  solved.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return solved;
}

}  // namespace roundel::passes
