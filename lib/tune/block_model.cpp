#include "lib/tune/block_model.h"

#include <algorithm>

#include "lib/base/text.h"
#include "lib/grad/backward.h"
#include "lib/tune/form.h"
#include "lib/tune/nodes.h"
#include "lib/walk/stretch.h"

namespace roundel::tune {
namespace {

// The nodes of the block with their constants; constants on grids have their quantized values.
graph::Model PlainBlock(const BlockParts& parts) {
  walk::Stretches::Part part;
  part.nodes = parts.block.nodes;
  part.inputs = parts.block.inputs;
  for (size_t i = 0; i < parts.block.targets; ++i) part.outputs.push_back(parts.block.outputs[i]);
  graph::Model model = walk::PartModel(parts.model, part, parts.input_types);
  for (size_t i = 0; i < parts.input_ranks.size(); ++i)
    model.graph->inputs[i].shape.emplace(static_cast<size_t>(parts.input_ranks[i]));
  std::vector<std::string> constants;
  for (const graph::Initializer& one : model.graph->initializers()) constants.push_back(one.name);
  for (const std::string& name : constants) {
    const auto encoding = parts.encodings.find(name);
    const bool learned =
        std::find(parts.learned.begin(), parts.learned.end(), name) != parts.learned.end();
    if (learned)
      model.graph->RemoveInitializer(name);
    else if (encoding != parts.encodings.end())
      model.graph->SetInitializer(
          name,
          encoding->second.codes
              ? quant::DequantizeTensor(*encoding->second.codes, encoding->second)
              : quant::FakeQuantizeTensor(*model.graph->FindInitializer(name), encoding->second));
  }
  return model;
}

std::string TargetOf(const std::string& value) { return value + "/target"; }
std::string ReferenceOf(const std::string& value) { return value + "/reference"; }

// Adds what a step may leave float.
class Drops {
 public:
  Drops(Nodes* nodes, DropOptions options) : nodes_(nodes), options_(options) {}

  // `quantized`, or elements of `original` in its place.
  std::string Mix(const std::string& original, const std::string& quantized) {
    if (options_.probability <= 0) return quantized;
    const std::string mask = nodes_->Add(
        "RandomMask", {original, kSeed},
        {{"probability", static_cast<float>(options_.probability)}, {"site", sites_++}}, "roundel");
    return nodes_->Add("Where", {mask, original, quantized});
  }
  static constexpr const char* kSeed = "seed";

 private:
  Nodes* nodes_;
  const DropOptions options_;
  int64_t sites_ = 0;
};

std::string Quantizer(const BlockParts& parts, const std::string& value, const std::string& source,
                      Nodes* nodes) {
  const quant::Encoding& encoding = parts.encodings.at(value);
  const quant::QParams& params = encoding.params[0];
  const auto scale = parts.scales.find(value), zero_point = parts.zero_points.find(value);
  return nodes->Add(
      "FakeQuant",
      {source, scale == parts.scales.end() ? nodes->Scalar(params.scale) : scale->second,
       zero_point == parts.zero_points.end() ? nodes->Scalar(static_cast<float>(params.zero_point))
                                             : zero_point->second},
      {{"qmin", int64_t{encoding.grid.qmin()}}, {"qmax", int64_t{encoding.grid.qmax()}}},
      "roundel");
}

// Adds quantizers after the values that have them, and what is dropped of them. The names of values
// as the loss reads them: `now`.
void AddQuantizers(const BlockParts& parts, Nodes* nodes, Drops* drops,
                   std::map<std::string, std::string>* now) {
  graph::Graph& graph = nodes->graph();
  std::vector<graph::NodePtr> old = graph.TakeNodes();
  for (size_t i = 0; i < parts.block.inputs.size(); ++i)
    if (parts.has_reference && parts.input_types[i] == DType::kFloat) {
      const std::string& input = parts.block.inputs[i];
      (*now)[input] = drops->Mix(ReferenceOf(input), input);
    }
  for (const graph::NodePtr& node : old) {
    for (std::string& input : node->inputs)
      if (const auto it = now->find(input); it != now->end()) input = it->second;
    const graph::Node* added = graph.AddNode(std::move(*node));
    for (const std::string& output : std::vector<std::string>(added->outputs)) {
      const auto encoding = parts.encodings.find(output);
      if (encoding != parts.encodings.end() && HasQuantizerNode(encoding->second))
        (*now)[output] = drops->Mix(output, Quantizer(parts, output, output, nodes));
    }
  }
}

std::string Loss(const BlockParts& parts, const std::map<std::string, std::string>& now,
                 bool judging, Nodes* nodes) {
  std::string loss;
  for (size_t i = 0; i < parts.block.targets; ++i) {
    if (judging && !parts.losses[i].judged) continue;
    const std::string& value = parts.block.outputs[i];
    const auto it = now.find(value);
    const std::string share =
        EmitLoss(nodes, it == now.end() ? value : it->second, TargetOf(value), parts.losses[i]);
    loss = loss.empty() ? share : nodes->Add("Add", {loss, share});
  }
  return loss;
}

}  // namespace

bool HasQuantizerNode(const quant::Encoding& encoding) {
  return encoding.role == quant::Role::kActivation && encoding.grid.is_uniform() &&
         encoding.granularity == quant::Granularity::kTensor && encoding.params.size() == 1;
}

Result<graph::Model> MakeBlockModel(const BlockParts& parts, bool gradients, DropOptions drop) {
  graph::Model model = PlainBlock(parts);
  graph::Graph& graph = *model.graph;
  graph.outputs.clear();
  model.SetOpset("roundel", 1);
  if (parts.has_reference)
    for (size_t i = 0; i < parts.block.inputs.size(); ++i)
      graph.inputs.push_back(
          {.name = ReferenceOf(parts.block.inputs[i]), .dtype = parts.input_types[i]});
  for (size_t i = 0; i < parts.block.targets; ++i)
    AddFloatInput(&graph, TargetOf(parts.block.outputs[i]));
  for (size_t i = 0; i < parts.learned.size(); ++i)
    AddFloatInput(&graph, parts.learned[i], parts.learned_shapes[i]);
  if (drop.probability > 0) graph.inputs.push_back({.name = Drops::kSeed, .dtype = DType::kInt64});
  Nodes nodes(&graph, "tune");
  Drops drops(&nodes, drop);
  std::map<std::string, std::string> now;
  AddQuantizers(parts, &nodes, &drops, &now);
  const std::string loss = Loss(parts, now, !gradients, &nodes);
  graph.outputs.push_back({.name = loss, .dtype = DType::kFloat});
  if (!gradients) return model;
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   grad::Backward(&model, loss, parts.learned));
  for (const std::string& name : names)
    graph.outputs.push_back({.name = name, .dtype = DType::kFloat});
  return model;
}

}  // namespace roundel::tune
