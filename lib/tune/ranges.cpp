#include "lib/tune/ranges.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "lib/layers/layer_bias.h"
#include "lib/tune/block_model.h"
#include "lib/tune/step_form.h"

namespace roundel::tune {

namespace {

// The block that computes each value.
std::map<std::string, size_t> Computing(const graph::Graph& graph,
                                        const std::vector<structure::Block>& blocks) {
  std::map<std::string, size_t> computing;
  for (size_t b = 0; b < blocks.size(); ++b)
    for (const size_t node : blocks[b].nodes)
      for (const std::string& output : graph.nodes()[node]->outputs) computing[output] = b;
  return computing;
}

}  // namespace

std::vector<FormPtr> RangeForms(const Session& session, const std::vector<structure::Block>& blocks,
                                size_t index, const RangeRates& rates) {
  const std::map<std::string, size_t> computing = Computing(*session.model.graph, blocks);
  struct Group {
    std::vector<std::string> members;  // in execution order
    bool free = true, here = false;
  };
  std::map<int, Group> groups;
  for (const target::QuantPoint& point : session.placement->points) {
    const auto encoding = session.encodings.find(point.value);
    if (point.role != quant::Role::kActivation || encoding == session.encodings.end()) continue;
    Group& group = groups[point.group];
    group.members.push_back(point.value);
    const auto block = computing.find(point.value);
    group.free = group.free && block != computing.end() && block->second >= index &&
                 !encoding->second.frozen && HasQuantizerNode(encoding->second);
    group.here = group.here || (block != computing.end() && block->second == index);
  }
  std::vector<FormPtr> forms;
  for (auto& [number, group] : groups) {
    if (!group.free || !group.here) continue;
    const quant::Encoding& encoding = session.encodings.at(group.members[0]);
    if (rates.scale > 0) forms.push_back(MakeRangeForm(group.members, encoding, rates.scale));
    if (rates.zero_point > 0 && HasOffset(encoding))
      forms.push_back(MakeOffsetForm(group.members, encoding, rates.zero_point));
  }
  return forms;
}

int64_t RefreshBiases(const std::string& pass, Session* session) {
  int64_t overflowing = 0;
  for (const graph::NodePtr& node : session->model.graph->nodes()) {
    if (!graph::IsLayerOp(*node)) continue;
    std::string why;
    const auto layer = graph::MatchLayer(*session->model.graph, node.get(), &why);
    if (!layer || layer->node->input(2).empty() ||
        !session->encodings.contains(layer->node->input(2)))
      continue;
    const std::vector<double> bias = graph::ReadBias(*session->model.graph, *layer);
    if (layers::SetBias(*session, *layer, bias, pass).empty()) continue;
    session->encodings.erase(layer->node->input(2));
    ++overflowing;
  }
  return overflowing;
}

}  // namespace roundel::tune
