#include "lib/layers/find_layers.h"

#include "lib/base/text.h"

namespace roundel::layers {
namespace {

void Decline(LayerSweep& s, const graph::Node& node, const std::string& weight,
             const std::string& why) {
  s.declined.push_back({&node, weight, why});
}

bool SamePlaces(const UnfoldedLayer& a, const UnfoldedLayer& b) {
  return a.groups == b.groups && a.m == b.m && a.n == b.n && a.tap_major() == b.tap_major() &&
         a.layer.out_major == b.layer.out_major && a.layer.kernel == b.layer.kernel;
}

// Rounding to nearest replaces a solution if the default memory is too small. If the user has set
// the memory, it is an error instead.
bool MayReject(const LayerSweep& s) {
  return s.options.memory_is_given || s.statistics.memory_bytes < s.options.memory_bytes;
}

void TooLarge(LayerSweep& s, const UnfoldedLayer& layer) {
  const std::string why =
      StrCat("its sums take ", HumanBytes(LeastBytes(layer)), ", more than the memory of ",
             HumanBytes(s.statistics.memory_bytes));
  s.session.report->warnings.push_back(StrCat(layer.layer.node->DisplayName(), ": ", why,
                                              ", so that it is rounded to nearest: set ",
                                              s.options.pass, ".memory"));
  Decline(s, *layer.layer.node, layer.layer.weight(), why);
}

void AddLayer(LayerSweep& s, graph::Node* node, const std::string& weight,
              const quant::Encoding& encoding) {
  if (encoding.frozen || encoding.codes) return;
  std::string why = "its weights have no solver";
  auto layer = graph::IsLayerOp(*node)
                   ? graph::MatchMatrixProduct(*s.session.model.graph, node, &why)
                   : std::nullopt;
  if (layer && layer->weight() != weight) return;
  if (layer && s.session.model.graph->Constant(layer->input()))
    return Decline(s, *node, weight, "its input is a constant");
  std::optional<UnfoldedLayer> outline;
  if (layer) outline = Outline(*s.session.model.graph, *layer, encoding, &why);
  if (!outline) return Decline(s, *node, weight, why);
  if (!MayReject(s) && LeastBytes(*outline) > s.statistics.memory_bytes)
    return TooLarge(s, *outline);
  const auto [owner, is_first] = s.owners.emplace(weight, s.layers.size());
  SweepLayer added{.outline = std::move(*outline)};
  if (!is_first) {
    if (!SamePlaces(s.layers[owner->second].outline, added.outline))
      return Decline(s, *node, weight, "an earlier layer reads the same weights in another order");
    added.first = owner->second;
  }
  s.nodes.push_back(node);
  s.layers.push_back(std::move(added));
}

}  // namespace

void FindLayers(LayerSweep& s) {
  for (const graph::NodePtr& node : s.session.model.graph->nodes()) {
    for (const std::string& input : node->inputs)
      if (const auto it = s.session.encodings.find(input);
          it != s.session.encodings.end() && it->second.role == quant::Role::kWeight)
        AddLayer(s, node.get(), input, it->second);
  }
  if (s.flat == s.session.model.graph) return;
  for (const graph::NodePtr& node : s.flat->nodes()) {
    if (node->Int(graph::kScopeTag, 0) == 0) continue;
    for (const std::string& input : node->inputs)
      if (const auto it = s.session.encodings.find(input);
          it != s.session.encodings.end() && it->second.role == quant::Role::kWeight &&
          !it->second.frozen && !it->second.codes)
        Decline(s, *node, input, "is inside of a sub-graph");
  }
}

Status CheckMemory(const LayerSweep& s) {
  constexpr int64_t kMega = 1000000;
  for (const SweepLayer& layer : s.layers) {
    const int64_t bytes = LeastBytes(layer.outline);
    if (bytes <= s.statistics.memory_bytes) continue;
    const bool by_limit = s.statistics.memory_bytes < s.options.memory_bytes;
    return UsageError(StrCat(by_limit ? "--max-memory" : "memory", ": the sums of node ",
                             layer.outline.layer.node->DisplayName(), " alone take ",
                             (bytes + kMega - 1) / kMega, " MB; give at least that",
                             by_limit ? " more than the model takes, not " : ", not ",
                             s.statistics.memory_bytes / kMega));
  }
  return OkStatus();
}

}  // namespace roundel::layers
