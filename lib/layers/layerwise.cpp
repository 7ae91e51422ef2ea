#include "lib/layers/layerwise.h"

#include <algorithm>
#include <map>

#include "lib/base/limits.h"
#include "lib/base/text.h"
#include "lib/graph/bodies.h"
#include "lib/layers/layer_bias.h"
#include "lib/layers/layer_store.h"
#include "lib/session/session.h"

namespace roundel::layers {
namespace {

class Layerwise {
 public:
  Layerwise(Session& session, const LayerwiseOptions& options, const SolveLayer& solve)
      : session_(session), options_(options), solve_(solve), statistics_(options.statistics) {
    statistics_.memory_bytes = Budget(options);
  }

  Result<Outcome> Run() {
    FindLayers();
    if (layers_.empty()) return Finish();
    RETURN_IF_ERROR(CheckMemory());
    for (const auto& [value, encoding] : session_.encodings)
      if (encoding.role == quant::Role::kWeight) stream_[value] = encoding;
    RETURN_IF_ERROR(OpenStore());
    RETURN_IF_ERROR(GatherOfSharers());
    walk::WalkOptions walk = Walk();
    for (const Layer& layer : layers_) walk.wanted.push_back(NeedsInputs(layer));
    RETURN_IF_ERROR(walk::WalkLayers(
        session_.model, stream_, nodes_, *session_.data, walk,
        [this](size_t i, const walk::LayerInputs* inputs) { return Visit(layers_[i], inputs); }));
    return Finish();
  }

 private:
  struct Layer {
    UnfoldedLayer outline;  // unfolded while it is solved
    LayerStore::Keys keys;
    bool solved_before = false, statistics_before = false;  // they are in the store
    std::optional<size_t> first;  // whose weights these are: solved there, for all
  };

  // What a layer may take: the pass's own memory, and what --max-memory leaves.
  static int64_t Budget(const LayerwiseOptions& options) {
    return std::min(options.memory_bytes, MemoryLimit() - MemoryInUse());
  }

  Status CheckMemory() const {
    constexpr int64_t kMega = 1000000;
    for (const Layer& layer : layers_) {
      const int64_t bytes = LeastBytes(layer.outline);
      if (bytes <= statistics_.memory_bytes) continue;
      const bool by_limit = statistics_.memory_bytes < options_.memory_bytes;
      return UsageError(StrCat(by_limit ? "--max-memory" : "memory", ": the sums of node ",
                               layer.outline.layer.node->DisplayName(), " alone take ",
                               (bytes + kMega - 1) / kMega, " MB; give at least that",
                               by_limit ? " more than the model takes, not " : ", not ",
                               statistics_.memory_bytes / kMega));
    }
    return OkStatus();
  }

  struct Declined {
    const graph::Node* node;
    std::string weight, why;
  };

  walk::WalkOptions Walk() const {
    return {.samples = options_.samples,
            .memory_bytes = statistics_.memory_bytes,
            .spill_folder = "",
            .label = options_.pass,
            .wanted = {}};
  }

  // ---- which layers there are

  void Decline(const graph::Node& node, const std::string& weight, const std::string& why) {
    declined_.push_back({&node, weight, why});
  }

  // At the end, when it is known whether another layer's solution serves the node as well.
  void RecordDeclined() {
    for (const Declined& declined : declined_)
      session_.report->Add(declined.node->DisplayName(), "declined",
                           declined.why + (session_.encodings.at(declined.weight).codes
                                               ? "; it uses the codes of the layer that shares them"
                                               : "; its weights are rounded to nearest"));
    session_.report->Metric("declined", std::ssize(declined_));
  }

  void FindLayers() {
    for (const graph::NodePtr& node : session_.model.graph->nodes()) {
      for (const std::string& input : node->inputs)
        if (const auto it = session_.encodings.find(input);
            it != session_.encodings.end() && it->second.role == quant::Role::kWeight)
          AddLayer(node.get(), input, it->second);
    }
    if (flat_ == session_.model.graph) return;
    for (const graph::NodePtr& node : flat_->nodes()) {
      if (node->Int(graph::kScopeTag, 0) == 0) continue;
      for (const std::string& input : node->inputs)
        if (const auto it = session_.encodings.find(input);
            it != session_.encodings.end() && it->second.role == quant::Role::kWeight &&
            !it->second.frozen && !it->second.codes)
          Decline(*node, input, "is inside of a sub-graph");
    }
  }

  void AddLayer(graph::Node* node, const std::string& weight, const quant::Encoding& encoding) {
    if (encoding.frozen || encoding.codes) return;
    std::string why = "its weights have no solver";
    auto layer = graph::IsLayerOp(*node)
                     ? graph::MatchMatrixProduct(*session_.model.graph, node, &why)
                     : std::nullopt;
    if (layer && layer->weight() != weight) return;
    if (layer && session_.model.graph->Constant(layer->input()))
      return Decline(*node, weight, "its input is a constant");
    std::optional<UnfoldedLayer> outline;
    if (layer) outline = Outline(*session_.model.graph, *layer, encoding, &why);
    if (!outline) return Decline(*node, weight, why);
    if (!MayRefuse() && LeastBytes(*outline) > statistics_.memory_bytes) return TooLarge(*outline);
    const auto [owner, is_first] = owners_.emplace(weight, layers_.size());
    Layer added{.outline = std::move(*outline)};
    if (!is_first) {
      if (!SamePlaces(layers_[owner->second].outline, added.outline))
        return Decline(*node, weight, "a layer before reads the same weights in another order");
      added.first = owner->second;
    }
    nodes_.push_back(node);
    layers_.push_back(std::move(added));
  }

  static bool SamePlaces(const UnfoldedLayer& a, const UnfoldedLayer& b) {
    return a.groups == b.groups && a.m == b.m && a.n == b.n && a.tap_major() == b.tap_major() &&
           a.layer.out_major == b.layer.out_major && a.layer.kernel == b.layer.kernel;
  }

  // The default memory gives way to rounding to nearest; what somebody asked for does not.
  bool MayRefuse() const {
    return options_.memory_is_given || statistics_.memory_bytes < options_.memory_bytes;
  }

  void TooLarge(const UnfoldedLayer& layer) {
    const std::string why =
        StrCat("its sums take ", HumanBytes(LeastBytes(layer)), ", more than the memory of ",
               HumanBytes(statistics_.memory_bytes));
    session_.report->warnings.push_back(StrCat(layer.layer.node->DisplayName(), ": ", why,
                                               ", so that it is rounded to nearest: set ",
                                               options_.pass, ".memory"));
    Decline(*layer.layer.node, layer.layer.weight(), why);
  }

  // ---- what is there already

  Status OpenStore() {
    ASSIGN_OR_RETURN(store_, LayerStore::Create(session_, session_.store, statistics_,
                                                options_.samples, options_.settings));
    for (Layer& layer : layers_) {
      layer.keys = store_.NextLayer(session_, layer.outline);
      layer.solved_before = store_.Has(layer.keys.solution);
      layer.statistics_before = store_.Has(layer.keys.statistics);
    }
    return OkStatus();
  }

  bool NeedsInputs(const Layer& layer) const {
    return !layer.solved_before && (!layer.statistics_before || options_.needs_inputs);
  }

  // Weights of several layers are solved at the first of them, on the sums of all: those of the
  // others come from the float model, ahead of the walk.
  Status GatherOfSharers() {
    std::vector<const graph::Node*> nodes;
    std::vector<const Layer*> sharers;
    for (size_t i = 0; i < layers_.size(); ++i)
      if (layers_[i].first && !layers_[*layers_[i].first].solved_before) {
        nodes.push_back(nodes_[i]);
        sharers.push_back(&layers_[i]);
      }
    if (nodes.empty()) return OkStatus();
    const quant::EncodingTable none;
    return walk::WalkLayers(session_.model, none, nodes, *session_.data, Walk(),
                            [&](size_t i, const walk::LayerInputs* inputs) -> Result<std::string> {
                              ASSIGN_OR_RETURN(LayerStatistics gathered,
                                               GatherOf(*sharers[i], *inputs));
                              AddStatistics(std::move(gathered), &of_sharers_[*sharers[i]->first]);
                              return nodes[i]->DisplayName();
                            });
  }

  static void AddStatistics(LayerStatistics more, LayerStatistics* sum) {
    sum->columns += more.columns;
    const auto add = [&](auto side) {
      for (size_t g = 0; g < (more.*side).size(); ++g) {
        if (g < (sum->*side).size())
          (sum->*side)[g].Add((more.*side)[g]);
        else
          (sum->*side).push_back(std::move((more.*side)[g]));
      }
    };
    add(&LayerStatistics::train);
    add(&LayerStatistics::held_out);
    add(&LayerStatistics::train_columns);
    add(&LayerStatistics::held_out_columns);
  }

  // ---- one layer

  bool IsShared(const Layer& layer) const {
    return std::any_of(layers_.begin(), layers_.end(), [&](const Layer& other) {
      return other.first && &layers_[*other.first] == &layer;
    });
  }

  // The sums of layers that share weights are added up, so that all are of one kind.
  Result<LayerStatistics> GatherOf(const Layer& layer, const walk::LayerInputs& inputs) const {
    const bool shared = layer.first || IsShared(layer);
    ASSIGN_OR_RETURN(const bool apart, KeepsApart(layer.outline, inputs, statistics_, shared));
    if (apart) return Gather(layer.outline, inputs, statistics_);
    return Gather(Unfolded(layer), inputs, statistics_);
  }

  UnfoldedLayer Unfolded(const Layer& layer) const {
    return Unfold(*session_.model.graph, layer.outline);
  }

  Result<std::string> Visit(Layer& layer, const walk::LayerInputs* inputs) {
    const std::string name = layer.outline.layer.node->DisplayName();
    Result<SolvedLayer> solved = Solved(layer, inputs);
    if (!solved.ok()) return Status(solved.status()).At("node " + name);
    Apply(layer, *solved);
    return StrFormat("%s: error %.3g -> %.3g", name.c_str(), solved->outcome.error_before,
                     solved->outcome.error_after);
  }

  bool FreeBias(const Layer& layer) const {
    return options_.solve.free_bias && !layer.outline.transposed() &&
           BiasObstacle(session_, layer.outline.layer).empty();
  }

  Result<SolvedLayer> Solved(const Layer& layer, const walk::LayerInputs* inputs) {
    if (layer.solved_before) {
      ++session_.report->resumed;
      return store_.ReadSolved(layer.keys.solution);
    }
    LayerStatistics statistics;
    if (layer.statistics_before) {
      ASSIGN_OR_RETURN(statistics, store_.ReadStatistics(layer.keys.statistics));
    } else {
      ASSIGN_OR_RETURN(statistics, GatherOf(layer, *inputs));
      RETURN_IF_ERROR(store_.Write(layer.keys.statistics, statistics));
    }
    ASSIGN_OR_RETURN(const SolvedLayer solved, SolveOn(layer, std::move(statistics), inputs));
    RETURN_IF_ERROR(store_.Write(layer.keys.solution, solved));
    return solved;
  }

  Result<SolvedLayer> SolveOn(const Layer& layer, LayerStatistics statistics,
                              const walk::LayerInputs* inputs) {
    SolveOptions options = options_.solve;
    options.free_bias = FreeBias(layer);
    options.rows_at_once = RowsAtOnce(layer.outline, statistics_);
    apart_ += statistics.apart();
    if (layer.first) {
      SolvedLayer same = {.solution = shared_.at(*layer.first)};
      same.bias = BestBias(session_, Unfolded(layer), statistics, same.solution, options.free_bias);
      same.outcome.node = layer.outline.layer.node->DisplayName();
      same.outcome.shared_with = nodes_[*layer.first]->DisplayName();
      return same;
    }
    const auto index = owners_.at(layer.outline.layer.weight());
    const quant::Encoding& calibrated = session_.encodings.at(layer.outline.layer.weight());
    const UnfoldedLayer unfolded = statistics.apart() ? layer.outline : Unfolded(layer);
    const auto others = of_sharers_.find(index);
    if (others == of_sharers_.end())
      return SolveFrom(session_, unfolded, calibrated, statistics, inputs, options, solve_);
    LayerStatistics joint = std::move(others->second);
    of_sharers_.erase(others);
    AddStatistics(LayerStatistics(statistics), &joint);
    ASSIGN_OR_RETURN(SolvedLayer solved,
                     SolveFrom(session_, unfolded, calibrated, joint, inputs, options, solve_));
    solved.bias =
        BestBias(session_, Unfolded(layer), statistics, solved.solution, options.free_bias);
    return solved;
  }

  void Apply(const Layer& layer, const SolvedLayer& solved) {
    const graph::WeightedLayer& weighted = layer.outline.layer;
    const bool free_bias = FreeBias(layer);
    quant::Encoding& encoding = session_.encodings.at(weighted.weight());
    if (!layer.first) {
      StoreSolution(layer.outline, solved.solution, &encoding);
      encoding.decided_by = options_.pass;
      stream_[weighted.weight()] = encoding;
      ++solved_;
      starved_ += solved.outcome.starved();
      before_ += solved.outcome.error_before;
      after_ += solved.outcome.error_after;
      if (IsShared(layer)) shared_[owners_.at(weighted.weight())] = solved.solution;
    }
    PutBias(weighted, solved.bias, free_bias);
    session_.report->layers.push_back(solved.outcome);
  }

  // Also a bias that keeps its value gets a new grid: the weight has new scales.
  void PutBias(const graph::WeightedLayer& layer, const std::vector<double>& bias, bool free_bias) {
    const graph::Node& node = *layer.node;
    if (!free_bias && !session_.encodings.contains(node.input(2))) return;
    const std::string why = SetBias(session_, layer, bias, options_.pass);
    if (!why.empty())
      session_.report->Add(node.DisplayName(), "bias kept", why);
    else if (free_bias)
      session_.corrected_biases.insert(layer.output());
  }

  Result<Outcome> Finish() {
    session_.report->Metric("solved", solved_);
    if (apart_ > 0) session_.report->Metric("solved_on_columns", apart_);
    RecordDeclined();
    if (starved_ > 0)
      session_.report->warnings.push_back(
          StrCat("the data has fewer columns than inputs for ", starved_,
                 " layers (see the report), which stay closer to the original weights: give more "
                 "samples"));
    if (solved_ == 0) return Outcome::kUnchanged;
    session_.report->Metric("relative_error_before", before_ / static_cast<double>(solved_));
    session_.report->Metric("relative_error_after", after_ / static_cast<double>(solved_));
    return Outcome::kChanged;
  }

  Session& session_;
  const LayerwiseOptions& options_;
  const SolveLayer& solve_;
  LayerStore store_;
  // What the walk quantizes: weights alone. Errors of activation grids are none of the weights'
  // business: to make up for what a range cuts off would distort all the other values.
  quant::EncodingTable stream_;
  std::vector<const graph::Node*> nodes_;
  std::vector<Layer> layers_;  // of nodes_
  const std::shared_ptr<graph::Graph> flat_ = graph::WithBodies(session_.model);
  std::vector<Declined> declined_;
  std::map<std::string, size_t> owners_;          // by weight: the first layer that has it
  std::map<size_t, LayerStatistics> of_sharers_;  // by that layer
  std::map<size_t, solver::Solution> shared_;
  StatisticsOptions statistics_;  // options_.statistics within the memory there is
  int64_t solved_ = 0, starved_ = 0, apart_ = 0;
  double before_ = 0, after_ = 0;
};

}  // namespace

Result<Outcome> SolveLayers(Session& session, const LayerwiseOptions& options,
                            const SolveLayer& solve) {
  LayerwiseOptions seeded = options;
  seeded.statistics.seed = SeedOf(session);
  return Layerwise(session, seeded, solve).Run();
}

}  // namespace roundel::layers
