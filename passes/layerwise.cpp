#include "passes/layerwise.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>

#include "lib/base/text.h"
#include "lib/solver/nearest.h"
#include "passes/layer_bias.h"

namespace roundel::passes {
namespace {

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// Error of the layer's output relative to the output's power; 0 if it has none.
double Relative(const std::vector<solver::Objective>& objectives,
                const std::vector<double>& errors) {
  double power = 0;
  for (const solver::Objective& objective : objectives) power += Sum(objective.power);
  return power > 0 ? Sum(errors) / power : 0;
}

class Layerwise {
 public:
  Layerwise(Session& session, const LayerwiseOptions& options, const SolveLayer& solve)
      : session_(session), options_(options), solve_(solve) {}

  Result<Outcome> Run() {
    FindLayers();
    if (layers_.empty()) return Outcome::kUnchanged;
    for (const auto& [value, encoding] : session_.encodings)
      if (encoding.role == quant::Role::kWeight) stream_[value] = encoding;
    engine::WalkOptions walk{.samples = options_.samples,
                             .memory_bytes = options_.memory_bytes,
                             .spill_folder = "",
                             .label = options_.pass};
    RETURN_IF_ERROR(engine::WalkLayers(
        session_.model, stream_, nodes_, *session_.data, walk,
        [this](size_t i, const engine::LayerInputs& inputs) { return Visit(i, inputs); }));
    session_.report->Metric("solved", solved_);
    session_.report->Metric("declined", declined_);
    if (solved_ == 0) return Outcome::kUnchanged;
    session_.report->Metric("relative_error_before", before_ / static_cast<double>(solved_));
    session_.report->Metric("relative_error_after", after_ / static_cast<double>(solved_));
    return Outcome::kChanged;
  }

 private:
  void Decline(const graph::Node& node, const std::string& why) {
    ++declined_;
    session_.report->Add(node.DisplayName(), "declined",
                         why + "; its weights are rounded to nearest");
  }

  void FindLayers() {
    for (const graph::NodePtr& node : session_.model.graph->nodes()) {
      for (const std::string& input : node->inputs)
        if (const auto it = session_.encodings.find(input);
            it != session_.encodings.end() && it->second.role == quant::Role::kWeight)
          AddLayer(node.get(), input, it->second);
    }
  }

  void AddLayer(graph::Node* node, const std::string& weight, const quant::Encoding& encoding) {
    if (encoding.frozen || encoding.codes) return;
    std::string why = "its weights have no solver";
    auto layer = graph::IsLayerOp(*node) ? graph::MatchLayer(*session_.model.graph, node, &why)
                                         : std::nullopt;
    if (layer && layer->weight() != weight) return;
    std::optional<UnfoldedLayer> unfolded;
    if (layer) unfolded = Unfold(*session_.model.graph, *layer, encoding, &why);
    if (!unfolded) return Decline(*node, why);
    nodes_.push_back(node);
    layers_.push_back(std::move(*unfolded));
  }

  Status Visit(size_t i, const engine::LayerInputs& inputs) {
    UnfoldedLayer& layer = layers_[i];
    quant::Encoding& encoding = session_.encodings.at(layer.layer.weight());
    if (encoding.codes) {
      Decline(*layer.layer.node, "its weights are shared with a layer that was solved before");
      return OkStatus();
    }
    const auto start = std::chrono::steady_clock::now();
    Status status = Solve(layer, inputs, &encoding, start);
    layer = UnfoldedLayer{.layer = layer.layer};  // its weights are not needed any more
    return std::move(status).At(StrCat("node ", nodes_[i]->DisplayName()));
  }

  using Time = std::chrono::steady_clock::time_point;

  Status Solve(const UnfoldedLayer& layer, const engine::LayerInputs& inputs,
               quant::Encoding* encoding, Time start) {
    ASSIGN_OR_RETURN(const LayerStatistics statistics, Gather(layer, inputs, options_.statistics));
    const std::string obstacle =
        layer.transposed() ? "a ConvTranspose sums taps" : BiasObstacle(session_, layer.layer);
    const bool free_bias = options_.correct_bias && obstacle.empty();
    LayerTask task{.layer = layer, .params = ParamsOf(layer, *encoding), .inputs = inputs};
    RETURN_IF_ERROR(MakeTask(statistics, free_bias, &task));
    RETURN_IF_ERROR(solver::CheckSpec(task.problems, layer.spec));
    const solver::Solution nearest = solver::RoundNearest(task.problems, layer.spec, task.params);
    ASSIGN_OR_RETURN(solver::Solution solution, solve_(task));
    std::vector<double> bias = NewBias(layer, statistics, solution, free_bias);
    if (KeepBiasInRange(layer, bias, nearest, &solution))
      bias = NewBias(layer, statistics, solution, free_bias);
    StoreSolution(layer, solution, encoding);
    encoding->decided_by = options_.pass;
    stream_[layer.layer.weight()] = *encoding;
    PutBias(layer, bias, free_bias);
    Record(task, statistics, nearest, solution, start);
    return OkStatus();
  }

  Status MakeTask(const LayerStatistics& statistics, bool free_bias, LayerTask* task) const {
    for (size_t g = 0; g < statistics.train.size(); ++g) {
      const std::vector<float>& w = task->layer.weight[g];
      ASSIGN_OR_RETURN(solver::Objective train,
                       solver::MakeObjective(statistics.train[g], w, free_bias));
      task->train.push_back(std::move(train));
      if (statistics.held_out.empty()) continue;
      ASSIGN_OR_RETURN(solver::Objective held,
                       solver::MakeObjective(statistics.held_out[g], w, free_bias));
      task->held_out.push_back(std::move(held));
    }
    solver::ProblemOptions problem = options_.problem;
    problem.free_bias = free_bias;
    ASSIGN_OR_RETURN(task->problems, Problems(*task, problem));
    if (task->held_out.empty()) return OkStatus();
    double least = HeldOutError(*task, task->problems);
    for (double ridge : options_.ridges) {
      problem.ridge_min = problem.ridge_max = ridge;
      ASSIGN_OR_RETURN(std::vector<solver::Problem> made, Problems(*task, problem));
      const double error = HeldOutError(*task, made);
      if (error < least) task->problems = std::move(made);
      least = std::min(least, error);
    }
    return OkStatus();
  }

  static Result<std::vector<solver::Problem>> Problems(const LayerTask& task,
                                                       const solver::ProblemOptions& options) {
    std::vector<solver::Problem> problems;
    for (const solver::Objective& train : task.train) {
      ASSIGN_OR_RETURN(solver::Problem problem, solver::MakeProblem(train, options));
      problems.push_back(std::move(problem));
    }
    return problems;
  }

  static double HeldOutError(const LayerTask& task, const std::vector<solver::Problem>& problems) {
    double error = 0;
    for (size_t g = 0; g < problems.size(); ++g)
      error += Sum(solver::OutputErrors(task.held_out[g], problems[g].target));
    return error;
  }

  // b, and if it is free + mean(y) - w^ mean(x), over all samples.
  std::vector<double> NewBias(const UnfoldedLayer& layer, const LayerStatistics& statistics,
                              const solver::Solution& solution, bool free_bias) const {
    std::vector<double> bias = graph::ReadBias(*session_.model.graph, layer.layer);
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

  // Products and the bias meet in an int32 accumulator whose unit is s_x s_w. calibrate has raised
  // the scales of channels with hardly any weight so that the bias fits; rows for which the solver
  // chose a scale that is too small go back to those. True if there were such rows.
  bool KeepBiasInRange(const UnfoldedLayer& layer, const std::vector<double>& bias,
                       const solver::Solution& calibrated, solver::Solution* solution) const {
    const auto source = session_.encodings.find(layer.layer.input());
    const quant::Granularity granularity = layer.spec.granularity;
    if (source == session_.encodings.end() || granularity == quant::Granularity::kBlock)
      return false;
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

  // Also a bias that keeps its value gets a new grid: the weight has new scales.
  void PutBias(const UnfoldedLayer& layer, const std::vector<double>& bias, bool free_bias) {
    const graph::Node& node = *layer.layer.node;
    if (!free_bias && !session_.encodings.contains(node.input(2))) return;
    const std::string why = SetBias(session_, layer.layer, bias, options_.pass);
    if (!why.empty())
      session_.report->Add(node.DisplayName(), "bias kept", why);
    else if (free_bias)
      session_.corrected_biases.insert(layer.layer.output());
  }

  void Record(const LayerTask& task, const LayerStatistics& statistics,
              const solver::Solution& nearest, const solver::Solution& solution, Time start) {
    const solver::GridSpec& spec = task.layer.spec;
    const auto on = [&](const std::vector<solver::Objective>& objectives,
                        const solver::Solution& s) {
      return Relative(objectives, solver::OutputErrors(objectives, s, spec));
    };
    const double before = on(task.train, nearest), after = on(task.train, solution);
    std::string detail = StrFormat("error %.3g -> %.3g", before, after);
    if (!task.held_out.empty())
      detail += StrFormat(" (held out %.3g -> %.3g)", on(task.held_out, nearest),
                          on(task.held_out, solution));
    detail += StrCat(", ", statistics.columns, " columns of ", task.layer.n);
    if (statistics.columns < task.layer.n) detail += " (fewer than the layer has inputs)";
    if (!task.note.empty()) detail += ", " + task.note;
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    detail += StrFormat(", %.2f s", seconds);
    session_.report->Add(task.layer.layer.node->DisplayName(), "solved", detail);
    ++solved_;
    before_ += before;
    after_ += after;
  }

  Session& session_;
  const LayerwiseOptions& options_;
  const SolveLayer& solve_;
  // What the walk quantizes: weights alone. Errors of activation grids are none of the weights'
  // business: to make up for what a range cuts off would distort all the other values.
  quant::EncodingTable stream_;
  std::vector<const graph::Node*> nodes_;
  std::vector<UnfoldedLayer> layers_;
  int64_t solved_ = 0, declined_ = 0;
  double before_ = 0, after_ = 0;
};

recipe::ParamSpecs CommonParams(bool correct_bias) {
  return {
      {.name = "samples",
       .default_value = int64_t{0},
       .help = "samples to use, in whole batches; 0 = all",
       .min = 0,
       .unit = "samples"},
      {.name = "columns_per_input",
       .default_value = int64_t{256},
       .help = "columns of the unfolded input for each input of a layer",
       .min = 1,
       .max = 1e6},
      {.name = "held_out",
       .default_value = 0.2,
       .help = "share of the samples on which solutions are judged; 0 = none",
       .min = 0,
       .max = 0.5},
      {.name = "correct_bias",
       .default_value = correct_bias,
       .help = "the bias takes up the mean error of the output"},
      {.name = "memory",
       .default_value = int64_t{1500},
       .help = "activations put aside in memory; more goes to a temporary file",
       .min = 1,
       .unit = "MB"},
  };
}

}  // namespace

Result<Outcome> SolveLayers(Session& session, const LayerwiseOptions& options,
                            const SolveLayer& solve) {
  return Layerwise(session, options, solve).Run();
}

PassInfo LayerwisePass(const std::string& name, const std::string& summary, bool correct_bias,
                       const recipe::ParamSpecs& params,
                       Result<Outcome> (*run)(Session&, const recipe::Params&)) {
  PassInfo info{.name = name,
                .summary = summary,
                .params = CommonParams(correct_bias),
                .needs_data = true,
                .needs_grids = true,
                .rounds_weights = true,
                .run = run};
  info.params.insert(info.params.end(), params.begin(), params.end());
  return info;
}

LayerwiseOptions ReadLayerwise(const std::string& pass, const recipe::Params& params) {
  LayerwiseOptions options{.pass = pass};
  options.samples = params.Int("samples");
  options.memory_bytes = params.Int("memory") * 1000000;
  options.statistics.columns_per_input = params.Int("columns_per_input");
  options.statistics.held_out = params.Float("held_out");
  options.correct_bias = params.Bool("correct_bias");
  return options;
}

}  // namespace roundel::passes
