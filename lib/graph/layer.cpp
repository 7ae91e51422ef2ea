#include "lib/graph/layer.h"

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"
#include "lib/graph/operators.h"

namespace roundel::graph {
namespace {

std::optional<WeightedLayer> Decline(std::string* why, std::string reason) {
  *why = std::move(reason);
  return std::nullopt;
}

bool Refuse(std::string* why, std::string reason) {
  *why = std::move(reason);
  return false;
}

bool IsRealType(DType type) {
  return type == DType::kFloat || type == DType::kDouble || type == DType::kFloat16 ||
         type == DType::kBfloat16;
}

// The constant of input `index` if it can serve as a bias: one value, or one per channel on the
// last axis.
const Tensor* BiasConstant(const Graph& graph, const Node& node, size_t index, int64_t channels) {
  const Tensor* bias = graph.Constant(node.input(index));
  if (!bias || !IsRealType(bias->dtype())) return nullptr;
  if (bias->size() == 1) return bias;
  return bias->size() == channels && bias->dim(-1) == channels ? bias : nullptr;
}

bool SetConvChannels(const Tensor& weight, WeightedLayer* layer, std::string* why) {
  const Node& node = *layer->node;
  layer->groups = node.Int("group", 1);
  if (weight.rank() < 3) return Refuse(why, "its weight has less than three axes");
  layer->out_major = node.op_type == "Conv";
  const int64_t rows = weight.dim(0), columns = weight.dim(1);
  if (layer->groups < 1 || rows % layer->groups != 0)
    return Refuse(why, "its group does not divide its channels");
  (layer->out_major ? layer->out_per_group : layer->in_per_group) = rows / layer->groups;
  (layer->out_major ? layer->in_per_group : layer->out_per_group) = columns;
  for (int64_t axis = 2; axis < weight.rank(); ++axis) layer->kernel *= weight.dim(axis);
  return true;
}

bool SetMatrixChannels(const Tensor& weight, bool transposed, WeightedLayer* layer,
                       std::string* why) {
  if (weight.rank() != 2) return Refuse(why, "its weight is not a matrix");
  layer->out_major = transposed;
  layer->out_per_group = weight.dim(transposed ? 0 : 1);
  layer->in_per_group = weight.dim(transposed ? 1 : 0);
  return true;
}

// The Add of a constant bias directly after a MatMul, or nullptr.
Node* BiasAddOf(const Graph& graph, const Node& matmul, int64_t channels) {
  Node* add = graph.OnlyConsumer(matmul.output(0));
  if (!add || !add->Is("Add")) return nullptr;
  const size_t other = add->input(0) == matmul.output(0) ? 1 : 0;
  const Tensor* bias = BiasConstant(graph, *add, other, channels);
  // A bias of higher rank than the product would add axes to the result.
  return bias && bias->rank() <= 2 ? add : nullptr;
}

size_t BiasIndex(const WeightedLayer& layer) {
  if (!layer.bias_add) return 2;
  return layer.bias_add->input(0) == layer.node->output(0) ? 1 : 0;
}

const Tensor* BiasTensor(const Graph& graph, const WeightedLayer& layer) {
  if (layer.node->op_type == "MatMul" && !layer.bias_add) return nullptr;
  return graph.Constant((layer.bias_add ? layer.bias_add : layer.node)->input(BiasIndex(layer)));
}

bool AllAre(const std::vector<int64_t>& values, int64_t wanted) {
  return std::all_of(values.begin(), values.end(), [&](int64_t v) { return v == wanted; });
}

}  // namespace

bool IsLayerOp(const Node& node) { return Has(node, Fact::kLayer); }

size_t WeightIndex(const Graph& graph, const Node& layer) {
  const bool left =
      layer.Is("MatMul") && !graph.Constant(layer.input(1)) && graph.Constant(layer.input(0));
  return left ? 0 : 1;
}

bool IsConvolution(const WeightedLayer& layer) { return !Has(*layer.node, Fact::kMatrix); }

std::optional<WeightedLayer> MatchLayer(const Graph& graph, Node* node, std::string* why) {
  if (!IsLayerOp(*node)) return Decline(why, "is not Conv, ConvTranspose, Gemm or MatMul");
  const Tensor* weight = graph.Constant(node->input(1));
  if (!weight) return Decline(why, "its weight is not a constant");
  if (!IsRealType(weight->dtype())) return Decline(why, "its weight is not of a floating type");
  WeightedLayer layer{.node = node};
  if (node->Is("Gemm")) {
    if (node->Int("transA", 0) != 0) return Decline(why, "its input is transposed (transA)");
    layer.weight_factor = node->Float("alpha", 1);
    if (!SetMatrixChannels(*weight, node->Int("transB", 0) != 0, &layer, why)) return std::nullopt;
  } else if (node->Is("MatMul")) {
    if (!SetMatrixChannels(*weight, false, &layer, why)) return std::nullopt;
    layer.bias_add = BiasAddOf(graph, *node, layer.out_channels());
  } else if (!SetConvChannels(*weight, &layer, why)) {
    return std::nullopt;
  }
  if (weight->size() == 0) return Decline(why, "its weight is empty");
  const bool conv = node->Is("Conv") || node->Is("ConvTranspose");
  if (!node->Is("MatMul") && !node->input(2).empty()) {
    const Tensor* bias = BiasConstant(graph, *node, 2, layer.out_channels());
    if (!bias || (conv && bias->shape() != Shape{layer.out_channels()}))
      return Decline(why, "its bias is not a constant of one value per output channel");
  }
  return layer;
}

std::optional<WeightedLayer> MatchMatrixProduct(const Graph& graph, Node* node, std::string* why) {
  if (!node->Is("MatMul")) return MatchLayer(graph, node, why);
  const size_t index = WeightIndex(graph, *node);
  const bool right = index == 1;
  const Tensor* weight = graph.Constant(node->input(index));
  if (weight && right && weight->rank() < 3) return MatchLayer(graph, node, why);
  if (!weight) return Decline(why, "its weight is not a constant");
  if (!IsRealType(weight->dtype())) return Decline(why, "its weight is not of a floating type");
  if (!right && weight->rank() != 2) return Decline(why, "its weight on the left is not a matrix");
  if (weight->size() == 0) return Decline(why, "its weight is empty");
  WeightedLayer layer{.node = node, .out_major = !right, .weight_index = index};
  layer.out_per_group = weight->dim(right ? -1 : 0);
  layer.in_per_group = weight->size() / layer.out_per_group;
  layer.stack = right ? layer.in_per_group / weight->dim(-2) : 1;
  return layer;
}

std::optional<WeightedLayer> LayerProducing(const Graph& graph, const std::string& value,
                                            std::string* why) {
  Node* node = graph.Producer(value);
  if (!node) return Decline(why, "no node produces it");
  if (node->Is("Add")) {
    for (size_t i = 0; i < 2; ++i) {
      Node* inner = graph.Producer(node->input(i));
      if (!inner || !inner->Is("MatMul")) continue;
      auto layer = MatchLayer(graph, inner, why);
      if (layer && layer->bias_add == node) return layer;
    }
  }
  return MatchLayer(graph, node, why);
}

std::vector<double> ReadWeight(const Graph& graph, const WeightedLayer& layer) {
  return ToDoubles(*graph.Constant(layer.weight()));
}

std::vector<double> ReadBias(const Graph& graph, const WeightedLayer& layer) {
  const auto channels = static_cast<size_t>(layer.out_channels());
  const Tensor* bias = BiasTensor(graph, layer);
  if (!bias) return std::vector<double>(channels, 0.0);
  std::vector<double> values = ToDoubles(*bias);
  if (values.size() == 1) values.assign(channels, values[0]);
  if (layer.node->Is("Gemm"))
    for (double& value : values) value *= layer.node->Float("beta", 1);
  return values;
}

bool FitsWeightType(const Graph& graph, const WeightedLayer& layer,
                    const std::vector<double>& values) {
  const DType type = graph.Constant(layer.weight())->dtype();
  const auto count = static_cast<int64_t>(values.size());
  return AllFinite(ToDoubles(FromDoubles(values, type, {count})));
}

void WriteWeight(Graph* graph, const WeightedLayer& layer, const std::vector<double>& values) {
  const Tensor& old = *graph->Constant(layer.weight());
  ReplaceConstant(graph, layer.node, layer.weight_index,
                  FromDoubles(values, old.dtype(), old.shape()));
}

void WriteBias(Graph* graph, WeightedLayer* layer, const std::vector<double>& values) {
  const DType type = graph->Constant(layer->weight())->dtype();
  const Tensor* old = BiasTensor(*graph, *layer);
  if (!old && std::all_of(values.begin(), values.end(), [](double v) { return v == 0; })) return;
  Shape shape = {layer->out_channels()};
  if (old && old->rank() > 1) {  // keeps its rank, which may determine that of the result
    shape = old->shape();
    shape.back() = layer->out_channels();
  }
  Tensor value = FromDoubles(values, type, shape);
  if (layer->node->Is("Gemm")) layer->node->RemoveAttribute("beta");
  if (old) {
    ReplaceConstant(graph, layer->bias_add ? layer->bias_add : layer->node, BiasIndex(*layer),
                    std::move(value));
    return;
  }
  const std::string name = graph->FreshName(layer->node->NameOrOutput() + "_bias");
  graph->SetInitializer(name, std::move(value));
  if (!layer->node->Is("MatMul")) {
    graph->SetInput(layer->node, 2, name);
    return;
  }
  const std::string output = layer->output();
  const std::string product = graph->FreshName(layer->node->NameOrOutput() + "_product");
  graph->SetOutput(layer->node, 0, product);
  Node add{.op_type = "Add", .inputs = {product, name}, .outputs = {output}};
  if (!layer->node->name.empty()) add.name = graph->FreshName(layer->node->name + "_add");
  layer->bias_add = graph->InsertAfter(layer->node, std::move(add));
}

bool InputShiftIsUniform(const WeightedLayer& layer) {
  const Node& node = *layer.node;
  if (Has(node, Fact::kMatrix)) return true;
  const std::string auto_pad = node.String("auto_pad", "NOTSET");
  if (node.Is("ConvTranspose")) {
    // With one tap per output every position gets the same sum; strides leave positions without
    // any.
    return layer.kernel == 1 && AllAre(node.Ints("strides"), 1) &&
           AllAre(node.Ints("output_padding"), 0) && AllAre(node.Ints("pads"), 0) &&
           node.Ints("output_shape").empty();
  }
  if (auto_pad == "VALID") return true;
  if (auto_pad == "NOTSET" || auto_pad.empty()) return AllAre(node.Ints("pads"), 0);
  // SAME_UPPER and SAME_LOWER never pad for a 1x1 kernel.
  return layer.kernel == 1;
}

// ---- constants

std::vector<double> ToDoubles(const Tensor& tensor) {
  if (tensor.dtype() == DType::kDouble) {
    const auto span = tensor.span<double>();
    return {span.begin(), span.end()};
  }
  const Tensor floats = tensor.ToFloat();
  const auto span = floats.span<float>();
  return {span.begin(), span.end()};
}

Tensor FromDoubles(const std::vector<double>& values, DType type, const Shape& shape) {
  if (type == DType::kDouble) return Tensor::FromVector<double>(shape, values);
  Tensor floats = Tensor::Empty(DType::kFloat, shape);
  INVARIANT(floats.size() == static_cast<int64_t>(values.size()), "value count");
  float* to = floats.mutable_data<float>();
  for (size_t i = 0; i < values.size(); ++i) to[i] = static_cast<float>(values[i]);
  return floats.FromFloatTo(type);
}

bool AllFinite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

void ReplaceConstant(Graph* graph, Node* node, size_t index, Tensor value) {
  const std::string name = node->input(index);
  const bool own = graph->FindInitializer(name) && graph->Uses(name).size() == 1 &&
                   !graph->IsInput(name) && !graph->IsOutput(name);
  if (own) {
    graph->SetInitializer(name, std::move(value));
    return;
  }
  // Must not add or remove nodes: callers iterate over them.
  Node* constant = graph->Producer(name);
  if (constant && constant->Is("Constant") && graph->Uses(name).size() == 1 &&
      !graph->IsOutput(name)) {
    constant->attributes.clear();
    constant->SetAttribute("value", std::move(value));
    return;
  }
  const std::string fresh = graph->FreshName(name);
  graph->SetInitializer(fresh, std::move(value));
  graph->SetInput(node, index, fresh);
}

void RemoveNodeAndConstants(Graph* graph, const Node* node) {
  const std::vector<std::string> inputs = node->inputs;
  graph->RemoveNode(node);
  for (const std::string& name : inputs) {
    if (!graph->Uses(name).empty() || graph->IsInput(name) || graph->IsOutput(name)) continue;
    if (graph->FindInitializer(name)) graph->RemoveInitializer(name);
    const Node* constant = graph->Producer(name);
    if (constant && constant->Is("Constant")) graph->RemoveNode(constant);
  }
}

}  // namespace roundel::graph
