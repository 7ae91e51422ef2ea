#include "lib/graph/shift_chain.h"

#include <algorithm>
#include <cstdint>

#include "lib/base/text.h"
#include "lib/graph/match.h"

namespace roundel::graph {
namespace {

bool IsOneOf(const Node& node, const char* names) {
  if (!node.domain.empty()) return false;
  const std::vector<std::string> list = Split(names, ' ');
  return std::find(list.begin(), list.end(), node.op_type) != list.end();
}

// f(x + c) = f(x) + c for a constant c per channel.
bool PassesShiftOn(const Graph& graph, const Node& node, ShiftChain* chain) {
  if (IsOneOf(node, "Identity Dropout")) return true;
  chain->spatial = true;
  if (IsOneOf(node, "GlobalAveragePool GlobalMaxPool MaxPool")) return true;
  if (IsOneOf(node, "ReduceMean ReduceMax ReduceMin Squeeze"))
    return HasOnlySpatialAxes(graph, node);
  // with padding, the average of shifted values is not the shifted average
  if (node.Is("AveragePool")) {
    const std::vector<int64_t> pads = node.Ints("pads");
    return node.Int("count_include_pad", 0) == 0 ||
           (node.String("auto_pad", "NOTSET") == "NOTSET" &&
            std::all_of(pads.begin(), pads.end(), [](int64_t p) { return p == 0; }));
  }
  chain->flattens = FlattensToChannels(graph, node);
  return chain->flattens;
}

// Adds `node` to the chain, or returns the reason why not.
std::string Extend(const Graph& graph, Node* node, ShiftChain* chain) {
  if (IsOneOf(*node, "Relu LeakyRelu PRelu")) {
    if (chain->activated || chain->spatial) return "a second activation follows";
    chain->activated = true;
    return "";
  }
  if (node->Is("Clip")) return StrCat(node->DisplayName(), " bounds it; cle replaces that by Min");
  if (const auto operand = FindChannelBound(graph, *node)) {
    const int64_t size = operand->constant->size();
    if (chain->bound || chain->spatial || (size != 1 && size != chain->first.out_channels()))
      return StrCat(node->DisplayName(), " bounds it in another way");
    chain->bound = node;
    return "";
  }
  for (size_t i = 1; i < node->outputs.size(); ++i)
    if (!graph.Uses(node->outputs[i]).empty() || graph.IsOutput(node->outputs[i]))
      return StrCat(node->DisplayName(), " has a second result");
  return PassesShiftOn(graph, *node, chain) ? "" : StrCat(node->DisplayName(), " reads it");
}

// The layers that read `value`, if there are no other readers.
std::string CollectConsumers(const Graph& graph, const std::string& value, ShiftChain* chain) {
  for (const Use& use : graph.Uses(value)) {
    std::string why;
    const auto layer = use.index == 0 ? MatchLayer(graph, use.node, &why) : std::nullopt;
    if (!layer) return StrCat(use.node->DisplayName(), " reads it too");
    const int64_t repeat = layer->in_channels() / chain->first.out_channels();
    if (repeat * chain->first.out_channels() != layer->in_channels() ||
        (repeat != 1 && !chain->flattens))
      return StrCat(layer->node->DisplayName(), " reads another number of channels");
    chain->consumers.push_back({*layer, repeat});
  }
  return "";
}

bool ChannelsAreLast(const Graph& graph, const WeightedLayer& layer, const std::string& value) {
  return layer.node->Is("MatMul") && RankOf(graph, value) != 2;
}

}  // namespace

std::string FollowChain(const Graph& graph, ShiftChain* chain) {
  std::string value = chain->first.output();
  for (;;) {
    if (graph.IsOutput(value)) return StrCat("'", value, "' is a graph output");
    const std::vector<Use>& uses = graph.Uses(value);
    if (uses.empty()) return "nothing reads it";
    if (IsLayerOp(*uses[0].node)) break;
    if (uses.size() > 1) return StrCat("'", value, "' has several readers");
    if (uses[0].index != 0 && !FindChannelBound(graph, *uses[0].node))
      return StrCat(uses[0].node->DisplayName(), " reads it");
    const std::string why = Extend(graph, uses[0].node, chain);
    if (!why.empty()) return why;
    value = uses[0].node->output(0);
  }
  const std::string why = CollectConsumers(graph, value, chain);
  if (!why.empty()) return why;
  // Channels last on one side and on axis 1 on the other are not the same channels.
  const bool last = ChannelsAreLast(graph, chain->first, chain->first.output());
  if (last && (chain->spatial || chain->bound)) return "its channels are on different axes";
  for (const ChannelConsumer& consumer : chain->consumers)
    if (last != ChannelsAreLast(graph, consumer.layer, value))
      return "its channels are on different axes";
  return "";
}

}  // namespace roundel::graph
