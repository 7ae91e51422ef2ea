#include "lib/graph/channel_groups.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <set>

#include "lib/base/text.h"
#include "lib/graph/match.h"

namespace roundel::graph {
namespace {

// The channel axis that the members of a group require. In a matrix axis 1 is also the last.
struct AxisNeed {
  bool second = false;  // axis 1: convolutions, pooling
  bool last = false;    // MatMul of more than two axes
  bool flattens = false;
};

// The effect of an operator on a group.
enum class Passage {
  kBlocks,
  kElementwise,  // channels on any axis
  kSpatial,      // channels must be on axis 1
  kFlattens,     // the same, and merges spatial positions into channels
  kClip,
  kBound,
};

struct OpPassage {
  Passage passage = Passage::kBlocks;
  size_t data_index = 0;     // the input that carries the channels
  bool both_inputs = false;  // a residual sum
};

bool IsOneOf(const Node& node, const char* names) {
  if (!node.domain.empty()) return false;
  const std::vector<std::string> list = Split(names, ' ');
  return std::find(list.begin(), list.end(), node.op_type) != list.end();
}

bool IsZeroOrInfinite(double bound) { return bound == 0 || std::isinf(bound); }

bool PadsSpatialZeros(const Graph& graph, const Node& node, int64_t opset) {
  const auto pad = ReadPad(graph, node, opset);
  return pad && !pad->PadsAxis(0) && !pad->PadsAxis(1) &&
         (pad->mode != "constant" || pad->value == 0);
}

// Resize and Upsample with constant scales that do not scale samples and channels.
bool ResizesSpatially(const Graph& graph, const Node& node, int64_t opset) {
  if (node.String("coordinate_transformation_mode", "") == "tf_crop_and_resize") return false;
  if (node.FindAttribute("axes")) return false;
  std::vector<float> scales = node.Floats("scales");
  const Tensor* constant = graph.Constant(node.input(opset < 11 ? 1 : 2));
  if (constant && constant->dtype() == DType::kFloat) {
    const auto span = constant->span<float>();
    scales.assign(span.begin(), span.end());
  }
  return scales.size() > 2 && scales[0] == 1 && scales[1] == 1;
}

bool SameKnownRank(const Graph& graph, const Node& node) {
  const auto a = RankOf(graph, node.input(0)), b = RankOf(graph, node.input(1));
  return a && b && *a == *b;
}

bool AddsNoAxes(const Graph& graph, const Node& node, const ConstantOperand& operand) {
  if (operand.constant->rank() == 0) return true;
  const auto rank = RankOf(graph, node.input(operand.data_index));
  return rank && operand.constant->rank() <= *rank;
}

bool IsGate(const Graph& graph, const std::string& value) {
  const Node* node = graph.Producer(value);
  return node && IsOneOf(*node, "Sigmoid HardSigmoid Softmax Tanh");
}

OpPassage PassageOfBinary(const Graph& graph, const Node& node) {
  const auto operand = FindConstantOperand(graph, node);
  if (operand) {
    const bool first = operand->data_index == 0;
    if (FindChannelBound(graph, node)) return {Passage::kBound, operand->data_index};
    const bool zero = operand->constant->size() == 1 && IsFloating(operand->constant->dtype()) &&
                      ToDoubles(*operand->constant)[0] == 0;
    const bool scales = node.Is("Mul") || (node.Is("Div") && first);
    if ((scales && AddsNoAxes(graph, node, *operand)) ||
        ((node.Is("Max") || node.Is("Min")) && zero && operand->constant->rank() == 0))
      return {Passage::kElementwise, operand->data_index};
    return {};
  }
  if (!SameKnownRank(graph, node)) return {};
  if (node.Is("Mul")) {  // squeeze-and-excitation: one operand is a bounded gate
    const bool a = IsGate(graph, node.input(0)), b = IsGate(graph, node.input(1));
    if (a == b) return {};
    return {Passage::kElementwise, a ? size_t{1} : size_t{0}};
  }
  if (node.Is("Add") || node.Is("Sub") || node.Is("Max") || node.Is("Min"))
    return {Passage::kElementwise, 0, true};
  return {};
}

OpPassage PassageOf(const Graph& graph, const Node& node, int64_t opset) {
  if (IsOneOf(node, "Relu LeakyRelu PRelu Identity Abs Neg Dropout"))
    return {Passage::kElementwise};
  if (node.Is("Clip")) {
    const auto bounds = ReadClip(graph, node);
    if (!bounds) return {};
    if (IsZeroOrInfinite(bounds->low) && IsZeroOrInfinite(bounds->high))
      return {Passage::kElementwise};
    if (bounds->low == 0 && bounds->high > 0) return {Passage::kClip};
    return {};
  }
  if (IsOneOf(node, "GlobalAveragePool GlobalMaxPool AveragePool MaxPool"))
    return {Passage::kSpatial};
  if (FlattensToChannels(graph, node)) return {Passage::kFlattens};
  if (IsOneOf(node, "ReduceMean ReduceSum ReduceMax ReduceMin Squeeze"))
    return {HasOnlySpatialAxes(graph, node) ? Passage::kSpatial : Passage::kBlocks};
  if (node.Is("Pad"))
    return {PadsSpatialZeros(graph, node, opset) ? Passage::kSpatial : Passage::kBlocks};
  if (IsOneOf(node, "Resize Upsample"))
    return {ResizesSpatially(graph, node, opset) ? Passage::kSpatial : Passage::kBlocks};
  if (IsOneOf(node, "Add Sub Mul Div Max Min")) return PassageOfBinary(graph, node);
  return {};
}

// Union-find over values; each root collects the nodes that read or write its set.
class GroupBuilder {
 public:
  GroupBuilder(const Graph& graph, int64_t opset, const ChannelGroupOptions& options)
      : graph_(graph), opset_(opset), options_(options) {}

  std::vector<ChannelGroup> Build() {
    for (const NodePtr& node : graph_.nodes()) FindLayer(node.get());
    for (const NodePtr& node : graph_.nodes()) Visit(node.get());
    for (const ValueInfo& input : graph_.inputs) Block(input.name, "it is a graph input");
    for (const ValueInfo& output : graph_.outputs) Block(output.name, "it is a graph output");
    std::vector<ChannelGroup> groups;
    for (const int root : order_) {  // by first producer
      Set& set = sets_[static_cast<size_t>(Find(root))];
      if (set.taken) continue;
      set.taken = true;
      Finish(&set);
      groups.push_back(std::move(set.group));
    }
    return groups;
  }

 private:
  struct Set {
    ChannelGroup group;
    AxisNeed axis;
    bool taken = false;
  };

  int Id(const std::string& value) {
    const auto [it, added] = ids_.try_emplace(value, static_cast<int>(parents_.size()));
    if (added) {
      parents_.push_back(it->second);
      sets_.emplace_back();
    }
    return it->second;
  }
  int Find(int id) {
    while (parents_[static_cast<size_t>(id)] != id)
      id = parents_[static_cast<size_t>(id)] =
          parents_[static_cast<size_t>(parents_[static_cast<size_t>(id)])];
    return id;
  }
  Set& SetOf(const std::string& value) { return sets_[static_cast<size_t>(Find(Id(value)))]; }

  template <typename T>
  static void MoveInto(std::vector<T>* from, std::vector<T>* to) {
    to->insert(to->end(), from->begin(), from->end());
    from->clear();
  }
  void Join(const std::string& a, const std::string& b) {
    int x = Find(Id(a)), y = Find(Id(b));
    if (x == y) return;
    if (x > y) std::swap(x, y);
    Set &into = sets_[static_cast<size_t>(x)], &from = sets_[static_cast<size_t>(y)];
    parents_[static_cast<size_t>(y)] = x;
    MoveInto(&from.group.producers, &into.group.producers);
    MoveInto(&from.group.consumers, &into.group.consumers);
    MoveInto(&from.group.clips, &into.group.clips);
    MoveInto(&from.group.bounds, &into.group.bounds);
    if (into.group.blocked.empty()) into.group.blocked = from.group.blocked;
    into.axis.second |= from.axis.second;
    into.axis.last |= from.axis.last;
    into.axis.flattens |= from.axis.flattens;
  }
  void Block(const std::string& value, const std::string& why) {
    if (value.empty()) return;
    ChannelGroup& group = SetOf(value).group;
    if (group.blocked.empty()) group.blocked = StrCat("'", value, "': ", why);
  }

  void FindLayer(Node* node) {
    std::string why;
    auto layer = MatchLayer(graph_, node, &why);
    if (!layer) return;
    if (layer->bias_add) bias_adds_.insert(layer->bias_add);
    layers_.emplace(node, *layer);
  }

  void Visit(Node* node) {
    if (bias_adds_.contains(node)) return;
    const auto layer = layers_.find(node);
    if (layer != layers_.end()) {
      VisitLayer(layer->second);
      return;
    }
    ForEachOuterRead(*node);
    OpPassage passage = PassageOf(graph_, *node, opset_);
    if (passage.both_inputs && !options_.through_branches) passage.passage = Passage::kBlocks;
    if (passage.passage == Passage::kClip && !options_.through_clips)
      passage.passage = Passage::kBlocks;
    if (passage.passage == Passage::kBlocks) {
      for (const std::string& input : node->inputs)
        Block(input, StrCat(node->DisplayName(), " reads it"));
      for (const std::string& output : node->outputs)
        Block(output, StrCat(node->DisplayName(), " makes it"));
      return;
    }
    const std::string& data = node->input(passage.data_index);
    Join(data, node->output(0));
    for (size_t i = 1; i < node->outputs.size(); ++i)  // masks, indices
      if (!graph_.Uses(node->outputs[i]).empty() || graph_.IsOutput(node->outputs[i]))
        Block(data, StrCat(node->DisplayName(), " has a second result"));
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      if (i == passage.data_index) continue;
      if (passage.both_inputs)
        Join(data, node->inputs[i]);
      else
        Block(node->inputs[i], StrCat(node->DisplayName(), " reads it"));
    }
    Set& set = SetOf(data);
    set.axis.second |= passage.passage != Passage::kElementwise;
    set.axis.flattens |= passage.passage == Passage::kFlattens;
    if (passage.passage == Passage::kClip) set.group.clips.push_back(node);
    if (passage.passage == Passage::kBound) set.group.bounds.push_back(node);
  }

  void ForEachOuterRead(const Node& node) {
    ForEachSubgraph(node, [&](Graph& sub) {
      for (const NodePtr& inner : sub.nodes()) {
        for (const std::string& input : inner->inputs)
          if (!input.empty() && graph_.Producer(input))
            Block(input, StrCat("a sub-graph of ", node.DisplayName(), " reads it"));
        ForEachOuterRead(*inner);
      }
      for (const ValueInfo& output : sub.outputs)
        if (graph_.Producer(output.name))
          Block(output.name, StrCat("a sub-graph of ", node.DisplayName(), " returns it"));
    });
  }

  void VisitLayer(const WeightedLayer& layer) {
    const bool conv = IsConvolution(layer);
    const bool last = layer.node->Is("MatMul") && RankOf(graph_, layer.input()) != 2;
    for (const std::string& value : {layer.input(), layer.output()}) {
      Set& set = SetOf(value);
      set.axis.second |= conv;
      set.axis.last |= last;
    }
    SetOf(layer.input()).group.consumers.push_back({layer, 1});
    SetOf(layer.output()).group.producers.push_back(layer);
    order_.push_back(Id(layer.output()));
  }

  // The checks that concern a whole set.
  void Finish(Set* set) const {
    ChannelGroup& group = set->group;
    const auto block = [&](const std::string& why) {
      if (group.blocked.empty()) group.blocked = why;
    };
    group.channels = group.producers.front().out_channels();
    if (group.consumers.empty()) block("no layer with a constant weight reads it");
    for (const WeightedLayer& producer : group.producers)
      if (producer.out_channels() != group.channels)
        block(StrCat(producer.node->DisplayName(), " makes another number of channels"));
    for (ChannelConsumer& consumer : group.consumers) {
      const int64_t inputs = consumer.layer.in_channels();
      consumer.repeat = inputs / group.channels;
      if (consumer.repeat * group.channels != inputs ||
          (consumer.repeat != 1 && !set->axis.flattens))
        block(StrCat(consumer.layer.node->DisplayName(), " reads another number of channels"));
    }
    if (set->axis.second && set->axis.last) block("its channels are on different axes");
    for (const Node* clip : group.clips) {
      const auto rank = RankOf(graph_, clip->input(0));
      if (!rank || *rank < 2 || (set->axis.flattens && *rank == 2))
        block(StrCat("the axes of ", clip->DisplayName(), " are not known"));
    }
    for (const Node* bound : group.bounds) {
      const auto operand = FindConstantOperand(graph_, *bound);
      const auto rank = RankOf(graph_, bound->input(operand->data_index));
      const int64_t size = operand->constant->size();
      if ((size != 1 && size != group.channels) || (set->axis.flattens && *rank == 2))
        block(StrCat(bound->DisplayName(), " has a constant that is not one value per channel"));
    }
  }

  const Graph& graph_;
  int64_t opset_;
  ChannelGroupOptions options_;
  std::map<const Node*, WeightedLayer> layers_;
  std::set<const Node*> bias_adds_;
  std::map<std::string, int> ids_;
  std::vector<int> parents_;
  std::deque<Set> sets_;  // references stay valid while it grows
  std::vector<int> order_;
};

}  // namespace

std::vector<ChannelGroup> FindChannelGroups(const Graph& graph, int64_t opset,
                                            const ChannelGroupOptions& options) {
  return GroupBuilder(graph, opset, options).Build();
}

}  // namespace roundel::graph
