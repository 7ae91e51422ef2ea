#include "lib/tune/scale_groups.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "lib/base/random.h"
#include "lib/engine/executor.h"
#include "lib/graph/operators.h"
#include "lib/tune/channel_scales.h"
#include "lib/walk/stretch.h"

namespace roundel::tune {
namespace {

using graph::Graph;
using graph::Node;
using graph::WeightedLayer;

// Between the makers and readers of channels there are no more nodes than that.
constexpr size_t kMostNodes = 64;
// Scales of a test lie between 2^-kSpread and 2^kSpread.
constexpr double kSpread = 8;

// A group before the test of its nodes.
struct Candidate {
  ScaleGroup group;  // readers without channels
  std::set<const Node*> nodes;
};

// A float constant with one reader and no other use; nullptr otherwise.
const Tensor* OwnConstant(const Graph& graph, const std::string& value) {
  const Tensor* constant = value.empty() ? nullptr : graph.FindInitializer(value);
  const bool own = constant && constant->dtype() == DType::kFloat &&
                   graph.Uses(value).size() == 1 && !graph.IsOutput(value);
  return own ? constant : nullptr;
}

// The channels of a constant with one element each.
Tensor Consecutive(const Shape& shape) {
  Tensor channel = Tensor::Empty(DType::kInt64, shape);
  std::iota(channel.mutable_data<int64_t>(), channel.mutable_data<int64_t>() + channel.size(), 0);
  return channel;
}

// The channels of a weight, by output or input channel of its layer; `of`: the channel of each.
Tensor WeightChannels(const Graph& graph, const WeightedLayer& layer, bool outputs,
                      const std::vector<int64_t>& of) {
  Shape shape = graph.Constant(layer.weight())->shape();
  const size_t first = graph::IsConvolution(layer) ? 0 : shape.size() - 2;
  for (size_t d = first + 2; d < shape.size(); ++d) shape[d] = 1;
  // Without groups, the other axis has no say.
  if (layer.groups == 1) shape[first + (layer.out_major == outputs ? 1 : 0)] = 1;
  Tensor channel = Tensor::Empty(DType::kInt64, shape);
  const int64_t rows = layer.groups * (layer.out_major ? layer.out_per_group : layer.in_per_group);
  const int64_t columns = layer.out_major ? layer.in_per_group : layer.out_per_group;
  for (int64_t r = 0; r < shape[first]; ++r)
    for (int64_t c = 0; c < shape[first + 1]; ++c) {
      const int64_t group = r / std::max<int64_t>(1, rows / layer.groups);
      const bool by_row = layer.out_major == outputs;
      channel.mutable_data<int64_t>()[r * shape[first + 1] + c] =
          of[static_cast<size_t>(by_row ? r : (shape[first] == 1 ? 0 : group) * columns + c)];
    }
  return channel;
}

class GroupFinder {
 public:
  GroupFinder(const graph::Model& model, const std::vector<Tensor>& inputs)
      : model_(model), graph_(*model.graph), inputs_(inputs) {
    for (size_t i = 0; i < graph_.nodes().size(); ++i) {
      const graph::NodePtr& node = graph_.nodes()[i];
      position_[node.get()] = i;
      std::string why;
      const auto layer = graph::MatchLayer(graph_, node.get(), &why);
      if (!layer) continue;
      layers_.emplace(node.get(), *layer);
      if (layer->bias_add) bias_adds_.insert(layer->bias_add);
    }
  }

  Result<std::vector<ScaleGroup>> Find() {
    std::vector<Candidate> candidates;
    for (const graph::NodePtr& node : graph_.nodes())
      if (std::optional<Candidate> one = Start(node.get()); one && Follow(&*one, node.get()))
        candidates.push_back(std::move(*one));
    RETURN_IF_ERROR(ReadValues(candidates));
    std::vector<ScaleGroup> groups;
    std::set<const Node*> taken;  // a gain within a group has no scales of its own
    for (Candidate& one : candidates) {
      const Node* first = graph_.nodes()[First(one)].get();
      if (taken.contains(first)) continue;
      ASSIGN_OR_RETURN(const bool holds, Test(&one));
      if (!holds) continue;
      taken.insert(one.nodes.begin(), one.nodes.end());
      groups.push_back(std::move(one.group));
    }
    return groups;
  }

 private:
  size_t First(const Candidate& one) const {
    size_t first = graph_.nodes().size();
    for (const Node* node : one.nodes) first = std::min(first, position_.at(node));
    return first;
  }

  // ---- the first node

  std::optional<Candidate> Start(Node* node) const {
    if (bias_adds_.contains(node)) return std::nullopt;
    Candidate made;
    made.group.name = node->DisplayName();
    made.nodes = {node};
    const auto layer = layers_.find(node);
    if (layer != layers_.end() ? !StartAtLayer(layer->second, &made) : !StartAtGain(*node, &made))
      return std::nullopt;
    return made;
  }

  bool StartAtLayer(const WeightedLayer& layer, Candidate* made) const {
    made->group.channels = layer.out_channels();
    std::vector<int64_t> all(static_cast<size_t>(made->group.channels));
    std::iota(all.begin(), all.end(), 0);
    if (!OwnConstant(graph_, layer.weight())) return false;
    made->group.makers.push_back(
        {layer.weight(), WeightChannels(graph_, layer, true, all), position_.at(layer.node)});
    if (layer.bias_add) made->nodes.insert(layer.bias_add);
    const std::string bias = BiasOf(layer);
    if (bias.empty()) return true;
    const Tensor* constant = OwnConstant(graph_, bias);
    if (!constant || constant->size() != made->group.channels) return false;
    made->group.makers.push_back(
        {bias, Consecutive(constant->shape()), position_.at(layer.node), true});
    return true;
  }

  std::string BiasOf(const WeightedLayer& layer) const {
    if (!layer.bias_add) return layer.node->input(2);
    return layer.bias_add->input(graph_.Constant(layer.bias_add->input(0)) ? 0 : 1);
  }

  // The gain of a norm, and its bias; or any product with one constant per channel.
  bool StartAtGain(const Node& node, Candidate* made) const {
    const bool norm = node.op_type.ends_with("Normalization");
    if (!norm && !node.Is("Mul")) return false;
    int64_t constants = 0;
    // Norms of a sum have their gain behind both operands.
    const size_t first = !norm ? 0 : node.op_type.starts_with("Skip") ? 2 : 1;
    for (size_t i = first; i < std::min(first + 2, node.inputs.size()); ++i) {
      const Tensor* constant = OwnConstant(graph_, node.input(i));
      if (!constant) continue;
      const int64_t longest = constant->rank() == 0 ? 1
                                                    : *std::max_element(constant->shape().begin(),
                                                                        constant->shape().end());
      if (constant->size() < 2 || longest != constant->size()) continue;
      if (++constants > 1 && constant->size() != made->group.channels) return false;
      made->group.channels = constant->size();
      made->group.makers.push_back(
          {node.input(i), Consecutive(constant->shape()), std::nullopt, false});
    }
    return constants > 0;
  }

  // ---- the way to the readers

  // Adds the nodes between and the readers; false if the channels reach something else.
  bool Follow(Candidate* made, Node* start) const {
    const auto layer = layers_.find(start);
    std::vector<std::string> open = {layer != layers_.end() ? layer->second.output()
                                                            : start->output(0)};
    std::set<std::string> reached(open.begin(), open.end());
    while (!open.empty()) {
      const std::string value = open.back();
      open.pop_back();
      if (graph_.IsOutput(value)) return false;
      for (const graph::Use& use : graph_.Uses(value)) {
        if (!Pass(made, use, value, reached)) return false;
        if (made->nodes.size() > kMostNodes) return false;
        if (!made->nodes.contains(use.node)) continue;  // a reader, or only a shape
        for (const std::string& output : use.node->outputs)
          if (!output.empty() && reached.insert(output).second) open.push_back(output);
      }
    }
    return !made->group.readers.empty();
  }

  // False if the use ends the group.
  bool Pass(Candidate* made, const graph::Use& use, const std::string& value,
            const std::set<std::string>& reached) const {
    Node* node = use.node;
    if (!node || graph::Has(*node, graph::Fact::kNormalizes | graph::Fact::kHasBodies |
                                       graph::Fact::kRecurrent))
      return false;
    if (node->Is("Shape") || node->Is("Size") || made->nodes.contains(node)) return true;
    if (const auto layer = layers_.find(node); layer != layers_.end()) {
      if (layer->second.input() != value || !OwnConstant(graph_, layer->second.weight()))
        return false;
      made->group.readers.push_back({layer->second.weight(), Tensor(), position_.at(node)});
      return true;
    }
    if ((node->Is("Add") || node->Is("Sub")) && !AddsOwn(made, *node, reached)) return false;
    made->nodes.insert(node);
    return true;
  }

  // A sum with a value of the group, or with a constant that can be divided, too.
  bool AddsOwn(Candidate* made, const Node& node, const std::set<std::string>& reached) const {
    for (const std::string& input : node.inputs) {
      if (reached.contains(input)) continue;
      const Tensor* constant = OwnConstant(graph_, input);
      if (!constant || constant->size() != made->group.channels) return false;
      made->group.makers.push_back({input, Consecutive(constant->shape()), std::nullopt, false});
    }
    return true;
  }

  const WeightedLayer& LayerOf(const GroupMember& member) const {
    return layers_.at(graph_.nodes()[*member.layer].get());
  }

  // ---- the test

  // What the nodes of a candidate read from outside.
  walk::Stretches::Part PartOf(const Candidate& one) const {
    walk::Stretches::Part part;
    std::set<std::string> inside, inputs, outputs;
    for (const Node* node : one.nodes) {
      part.nodes.push_back(position_.at(node));
      inside.insert(node->outputs.begin(), node->outputs.end());
    }
    std::sort(part.nodes.begin(), part.nodes.end());
    for (const size_t position : part.nodes)
      for (const std::string& value : walk::ReadsOf(graph_, *graph_.nodes()[position]))
        if (!inside.contains(value)) inputs.insert(value);
    for (const GroupMember& reader : one.group.readers) outputs.insert(LayerOf(reader).input());
    part.inputs.assign(inputs.begin(), inputs.end());
    part.outputs.assign(outputs.begin(), outputs.end());
    return part;
  }

  // The values that candidates read, from one run of the model.
  Status ReadValues(const std::vector<Candidate>& candidates) {
    std::set<std::string> wanted;
    for (const Candidate& one : candidates)
      for (const std::string& input : PartOf(one).inputs) wanted.insert(input);
    graph::Model run = graph::Clone(model_);
    run.graph->outputs.clear();
    for (const std::string& value : wanted) run.graph->outputs.push_back({.name = value});
    if (wanted.empty()) return OkStatus();
    ASSIGN_OR_RETURN(const auto executor, engine::Executor::Create(run));
    ASSIGN_OR_RETURN(const std::vector<Tensor> values, executor->Run(inputs_));
    for (size_t i = 0; i < values.size(); ++i) values_[executor->output_names()[i]] = values[i];
    return OkStatus();
  }

  static Tensor RandomLike(const Tensor& tensor, Random* random) {
    if (tensor.dtype() != DType::kFloat) return tensor;
    Tensor made = Tensor::Empty(DType::kFloat, tensor.shape());
    for (int64_t i = 0; i < made.size(); ++i)
      made.mutable_data<float>()[i] = static_cast<float>(random->Normal());
    return made;
  }

  // Runs the candidate's nodes with random constants, plain and divided, and finds the channels of
  // the readers. False if the results do not differ by the scales.
  Result<bool> Test(Candidate* one) const {
    Random random(1);
    const walk::Stretches::Part part = PartOf(*one);
    std::vector<Tensor> inputs;
    std::vector<DType> types;
    for (const std::string& input : part.inputs) {
      inputs.push_back(RandomLike(values_.at(input), &random));
      types.push_back(inputs.back().dtype());
    }
    std::vector<double> scales;
    const auto channels = static_cast<double>(one->group.channels);
    for (int64_t c = 0; c < one->group.channels; ++c)
      scales.push_back(std::exp2(kSpread * (2 * (static_cast<double>(c) + 0.5) / channels - 1)));
    Tensor logarithms = Tensor::Empty(DType::kFloat, {one->group.channels});
    for (size_t c = 0; c < scales.size(); ++c)
      logarithms.mutable_data<float>()[c] = static_cast<float>(std::log(scales[c]));
    graph::Model plain = walk::PartModel(model_, part, types), divided = graph::Clone(plain);
    for (const GroupMember& maker : one->group.makers) {
      const Tensor value = RandomLike(*graph_.FindInitializer(maker.value), &random);
      plain.graph->SetInitializer(maker.value, value);
      const ChannelScale scale{.logarithms = {}, .channel = maker.channel, .divides = true};
      divided.graph->SetInitializer(maker.value, Scaled(value, {scale}, {&logarithms, 1}));
    }
    ASSIGN_OR_RETURN(const auto first, engine::Executor::Create(plain));
    ASSIGN_OR_RETURN(const auto second, engine::Executor::Create(divided));
    ASSIGN_OR_RETURN(const std::vector<Tensor> a, first->Run(inputs));
    ASSIGN_OR_RETURN(const std::vector<Tensor> b, second->Run(inputs));
    for (GroupMember& reader : one->group.readers) {
      const WeightedLayer& layer = LayerOf(reader);
      const auto at =
          std::find(part.outputs.begin(), part.outputs.end(), layer.input()) - part.outputs.begin();
      const auto of =
          ChannelsOf(layer, a[static_cast<size_t>(at)], b[static_cast<size_t>(at)], scales);
      if (!of) return false;
      reader.channel = WeightChannels(graph_, layer, false, *of);
    }
    return true;
  }

  // The channel of the group that each channel of a layer's input is; nullopt if one is none.
  static std::optional<std::vector<int64_t>> ChannelsOf(const WeightedLayer& layer, const Tensor& a,
                                                        const Tensor& b,
                                                        const std::vector<double>& scales) {
    const int64_t axis = graph::IsConvolution(layer) ? 1 : a.rank() - 1;
    if (a.shape() != b.shape() || axis < 0 || a.dim(axis) != layer.in_channels())
      return std::nullopt;
    int64_t inner = 1;
    for (int64_t d = axis + 1; d < a.rank(); ++d) inner *= a.dim(d);
    const auto count = static_cast<size_t>(a.dim(axis));
    std::vector<int64_t> largest(count, -1), of(count);
    const auto place = [&](int64_t i) { return static_cast<size_t>(i / inner % a.dim(axis)); };
    const float *x = a.data<float>(), *y = b.data<float>();
    for (int64_t i = 0; i < a.size(); ++i)
      if (largest[place(i)] < 0 || std::fabs(x[i]) > std::fabs(x[largest[place(i)]]))
        largest[place(i)] = i;
    for (size_t c = 0; c < count; ++c) {
      const double ratio = largest[c] < 0 ? 0 : static_cast<double>(x[largest[c]]) / y[largest[c]];
      if (!std::isfinite(ratio) || ratio <= 0) return std::nullopt;
      const double at = (std::log2(ratio) / kSpread + 1) / 2 * static_cast<double>(scales.size());
      of[c] = std::clamp<int64_t>(static_cast<int64_t>(std::floor(at)), 0, std::ssize(scales) - 1);
    }
    for (int64_t i = 0; i < a.size(); ++i) {
      const size_t c = place(i);
      const double expected = x[i], found = y[i] * scales[static_cast<size_t>(of[c])];
      if (!(std::fabs(found - expected) <= 1e-4 * std::fabs(x[largest[c]]))) return std::nullopt;
    }
    return of;
  }

  const graph::Model& model_;
  const Graph& graph_;
  const std::vector<Tensor>& inputs_;
  std::map<const Node*, size_t> position_;
  std::map<const Node*, WeightedLayer> layers_;
  std::set<const Node*> bias_adds_;
  std::map<std::string, Tensor> values_;
};

}  // namespace

Result<std::vector<ScaleGroup>> FindScaleGroups(const graph::Model& model,
                                                const std::vector<Tensor>& inputs) {
  return GroupFinder(model, inputs).Find();
}

}  // namespace roundel::tune
