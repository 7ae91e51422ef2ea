#include "lib/layers/layerwise.h"

#include <algorithm>

#include "lib/base/limits.h"
#include "lib/base/text.h"
#include "lib/layers/find_layers.h"
#include "lib/layers/layer_bias.h"
#include "lib/layers/layer_parts.h"
#include "lib/layers/layer_sweep.h"
#include "lib/layers/shared_layers.h"

namespace roundel::layers {
namespace {

// The memory for one layer: that of the pass, limited by --max-memory.
int64_t Budget(const LayerwiseOptions& options) {
  return std::min(options.memory_bytes, MemoryLimit() - MemoryInUse());
}

Status OpenStore(LayerSweep& s) {
  ASSIGN_OR_RETURN(s.store, LayerStore::Create(s.session, s.session.store, s.statistics,
                                               s.options.samples, s.options.settings));
  for (SweepLayer& layer : s.layers) {
    layer.keys = s.store.NextLayer(s.session, layer.outline);
    layer.solved_before = s.store.Has(layer.keys.solution);
    layer.statistics_before = s.store.Has(layer.keys.statistics);
  }
  return OkStatus();
}

bool NeedsInputs(const LayerSweep& s, const SweepLayer& layer) {
  if (layer.elsewhere) return false;
  if (SumsOnly(s)) return !layer.statistics_before;
  return !layer.solved_before && (!layer.statistics_before || s.options.needs_inputs);
}

bool FreeBias(const LayerSweep& s, const SweepLayer& layer) {
  return s.options.solve.free_bias && !layer.outline.transposed() &&
         BiasObstacle(s.session, layer.outline.layer).empty();
}

Result<SolvedLayer> SolveOn(LayerSweep& s, const SweepLayer& layer,
                            const LayerStatistics& statistics, const walk::LayerInputs* inputs) {
  SolveOptions options = s.options.solve;
  options.free_bias = FreeBias(s, layer);
  options.rows_at_once = RowsAtOnce(layer.outline, s.statistics);
  s.apart += statistics.apart();
  if (layer.first) {
    SolvedLayer same = {.solution = s.shared.at(*layer.first)};
    same.bias =
        BestBias(s.session, Unfolded(s, layer), statistics, same.solution, options.free_bias);
    same.outcome.node = layer.outline.layer.node->DisplayName();
    same.outcome.shared_with = s.nodes[*layer.first]->DisplayName();
    return same;
  }
  const auto index = s.owners.at(layer.outline.layer.weight());
  const quant::Encoding& calibrated = s.session.encodings.at(layer.outline.layer.weight());
  const UnfoldedLayer unfolded = statistics.apart() ? layer.outline : Unfolded(s, layer);
  const auto others = s.of_sharers.find(index);
  if (others == s.of_sharers.end())
    return SolveFrom(s.session, unfolded, calibrated, statistics, inputs, options, s.solve);
  LayerStatistics joint = std::move(others->second);
  s.of_sharers.erase(others);
  AddStatistics(LayerStatistics(statistics), &joint);
  ASSIGN_OR_RETURN(SolvedLayer solved,
                   SolveFrom(s.session, unfolded, calibrated, joint, inputs, options, s.solve));
  solved.bias =
      BestBias(s.session, Unfolded(s, layer), statistics, solved.solution, options.free_bias);
  return solved;
}

// From the store, or gathered and stored.
Result<LayerStatistics> StatisticsOf(LayerSweep& s, const SweepLayer& layer,
                                     const walk::LayerInputs* inputs) {
  if (layer.statistics_before) return s.store.ReadStatistics(layer.keys.statistics);
  ASSIGN_OR_RETURN(LayerStatistics statistics, GatherOf(s, layer, *inputs));
  RETURN_IF_ERROR(s.store.Write(layer.keys.statistics, statistics));
  return statistics;
}

Result<SolvedLayer> Solved(LayerSweep& s, const SweepLayer& layer,
                           const walk::LayerInputs* inputs) {
  if (layer.solved_before) {
    ++s.session.report->resumed;
    return s.store.ReadSolved(layer.keys.solution);
  }
  ASSIGN_OR_RETURN(const LayerStatistics statistics, StatisticsOf(s, layer, inputs));
  ASSIGN_OR_RETURN(const SolvedLayer solved, SolveOn(s, layer, statistics, inputs));
  RETURN_IF_ERROR(s.store.Write(layer.keys.solution, solved));
  return solved;
}

// A bias that keeps its value also gets a new grid, because the weight has new scales.
void PutBias(LayerSweep& s, const graph::WeightedLayer& layer, const std::vector<double>& bias,
             bool free_bias) {
  const graph::Node& node = *layer.node;
  if (!free_bias && !s.session.encodings.contains(node.input(2))) return;
  const std::string why = SetBias(s.session, layer, bias, s.options.pass);
  if (!why.empty())
    s.session.report->Add(node.DisplayName(), "bias kept", why);
  else if (free_bias)
    s.session.corrected_biases.insert(layer.output());
}

void Apply(LayerSweep& s, const SweepLayer& layer, const SolvedLayer& solved) {
  const graph::WeightedLayer& weighted = layer.outline.layer;
  const bool free_bias = FreeBias(s, layer);
  quant::Encoding& encoding = s.session.encodings.at(weighted.weight());
  if (!layer.first) {
    StoreSolution(layer.outline, solved.solution, &encoding);
    encoding.decided_by = s.options.pass;
    s.stream[weighted.weight()] = encoding;
    ++s.solved;
    s.underdetermined += solved.outcome.underdetermined();
    s.before += solved.outcome.error_before;
    s.after += solved.outcome.error_after;
    if (IsShared(s, layer)) s.shared[s.owners.at(weighted.weight())] = solved.solution;
  }
  PutBias(s, weighted, solved.bias, free_bias);
  s.session.report->layers.push_back(solved.outcome);
}

Result<std::string> Visit(LayerSweep& s, SweepLayer& layer, const walk::LayerInputs* inputs) {
  const std::string name = layer.outline.layer.node->DisplayName();
  if (layer.elsewhere) return name;
  if (SumsOnly(s)) {
    if (layer.statistics_before) return name;
    const Status gathered = StatisticsOf(s, layer, inputs).status();
    return gathered.ok() ? Result<std::string>(name) : Status(gathered).At("node " + name);
  }
  Result<SolvedLayer> solved = Solved(s, layer, inputs);
  if (!solved.ok()) return Status(solved.status()).At("node " + name);
  Apply(s, layer, *solved);
  return StrFormat("%s: error %.3g -> %.3g", name.c_str(), solved->outcome.error_before,
                   solved->outcome.error_after);
}

// Requires that all layers are solved: a declined node may use the codes of one of them.
void RecordDeclined(LayerSweep& s) {
  for (const LayerSweep::Declined& declined : s.declined)
    s.session.report->Add(declined.node->DisplayName(), "declined",
                          declined.why + (s.session.encodings.at(declined.weight).codes
                                              ? "; it uses the codes of the layer that shares them"
                                              : "; its weights are rounded to nearest"));
  s.session.report->Metric("declined", std::ssize(s.declined));
}

Result<Outcome> Finish(LayerSweep& s) {
  s.session.report->Metric("solved", s.solved);
  if (s.apart > 0) s.session.report->Metric("solved_on_columns", s.apart);
  RecordDeclined(s);
  if (s.underdetermined > 0)
    s.session.report->warnings.push_back(
        StrCat("the data has fewer columns than inputs for ", s.underdetermined,
               " layers (see the report), which stay closer to the original weights: give more "
               "samples"));
  if (s.solved == 0) return Outcome::kUnchanged;
  s.session.report->Metric("relative_error_before", s.before / static_cast<double>(s.solved));
  s.session.report->Metric("relative_error_after", s.after / static_cast<double>(s.solved));
  return Outcome::kChanged;
}

// Finds the layers, and what the store has of them.
Status Start(LayerSweep& s) {
  s.statistics.seed = SeedOf(s.session);
  s.statistics.memory_bytes = Budget(s.options);
  FindLayers(s);
  RETURN_IF_ERROR(CheckMemory(s));
  for (const auto& [value, encoding] : s.session.encodings)
    if (encoding.role == quant::Role::kWeight) s.stream[value] = encoding;
  return s.options.uses_store && !s.layers.empty() ? OpenStore(s) : OkStatus();
}

}  // namespace

Result<Outcome> SolveLayers(Session& session, const LayerwiseOptions& options,
                            const SolveLayer& solve) {
  LayerSweep s{
      .session = session, .options = options, .solve = solve, .statistics = options.statistics};
  RETURN_IF_ERROR(Start(s));
  if (s.layers.empty()) return Finish(s);
  RETURN_IF_ERROR(TakePart(s));
  if (!SumsOnly(s)) RETURN_IF_ERROR(GatherOfSharers(s));
  walk::WalkOptions walk = WalkOptionsOf(s);
  for (const SweepLayer& layer : s.layers) walk.wanted.push_back(NeedsInputs(s, layer));
  if (std::count(walk.wanted.begin(), walk.wanted.end(), true) > 0) RETURN_IF_ERROR(CheckParts(s));
  // Inputs that all come from the float model need no second stream.
  const quant::EncodingTable none;
  RETURN_IF_ERROR(walk::WalkLayers(
      s.session.model, s.statistics.reference_inputs ? none : s.stream, s.nodes, *s.session.data,
      walk,
      [&s](size_t i, const walk::LayerInputs* inputs) { return Visit(s, s.layers[i], inputs); }));
  RETURN_IF_ERROR(RecordPart(s));
  return Finish(s);
}

LayerSolver::LayerSolver(std::unique_ptr<LayerSweep> sweep) : sweep_(std::move(sweep)) {}
LayerSolver::~LayerSolver() = default;
LayerSolver::LayerSolver(LayerSolver&&) noexcept = default;
LayerSolver& LayerSolver::operator=(LayerSolver&&) noexcept = default;

Result<LayerSolver> LayerSolver::Create(Session& session, const LayerwiseOptions& options,
                                        const SolveLayer& solve) {
  LayerSolver made(std::make_unique<LayerSweep>(LayerSweep{
      .session = session, .options = options, .solve = solve, .statistics = options.statistics}));
  RETURN_IF_ERROR(Start(*made.sweep_));
  return made;
}

const std::vector<const graph::Node*>& LayerSolver::nodes() const { return sweep_->nodes; }

Result<std::string> LayerSolver::Solve(size_t i, const walk::LayerInputs& inputs) {
  return Visit(*sweep_, sweep_->layers[i], &inputs);
}

Result<Outcome> LayerSolver::Finish() { return layers::Finish(*sweep_); }

}  // namespace roundel::layers
