#include "lib/session/layer_facts.h"

#include <algorithm>
#include <cmath>

#include "lib/graph/bodies.h"
#include "lib/graph/layer.h"
#include "lib/quant/metrics.h"

namespace roundel {
namespace {

using quant::Encoding;

const char* Name(quant::Granularity granularity) {
  switch (granularity) {
    case quant::Granularity::kTensor: return "tensor";
    case quant::Granularity::kChannel: return "channel";
    case quant::Granularity::kBlock: return "block";
  }
  return "";
}

// dB; nullopt if there is no error, or nothing to compare.
std::optional<double> Sqnr(const Tensor& weight, const Encoding& encoding) {
  const Tensor floats = weight.ToFloat();
  const Tensor rounded = encoding.codes ? quant::DequantizeTensor(*encoding.codes, encoding)
                                        : quant::FakeQuantizeTensor(floats, encoding);
  if (rounded.size() != floats.size()) return std::nullopt;
  quant::ErrorSums sums;
  sums.Add(floats.span<float>(), rounded.span<float>());
  const double sqnr = sums.Sqnr();
  return std::isfinite(sqnr) ? std::optional(sqnr) : std::nullopt;
}

void AddWeight(const Tensor& weight, const Encoding* encoding, report::LayerFacts* facts) {
  facts->weights = weight.size();
  facts->bytes = weight.byte_size();
  if (encoding == nullptr) return;
  facts->bits = encoding->grid.bits;
  facts->grid = encoding->grid.Name();
  facts->granularity = Name(encoding->granularity);
  facts->scales = encoding->grid.has_scale() ? std::ssize(encoding->params) : 0;
  facts->bytes = (weight.size() * facts->bits + 7) / 8 + 4 * facts->scales;
  facts->weight_sqnr = Sqnr(weight, *encoding);
}

// What the layer's activation function writes, if only that reads the layer's output and the value
// has a grid: the layer's own output is then no value of the quantized model.
std::string OutputOf(const ModelState& state, const graph::Graph& graph, const graph::Node& layer) {
  constexpr int kMostNodes = 4;  // a bias, Relu and a bound
  std::string value = layer.output(0);
  for (int i = 0; i < kMostNodes && !state.encodings.contains(value); ++i) {
    const std::vector<graph::Use>& uses = graph.Uses(value);
    if (uses.size() != 1 || uses[0].node == nullptr || graph::IsLayerOp(*uses[0].node)) break;
    const graph::Node& reader = *uses[0].node;
    const auto variables =
        std::count_if(reader.inputs.begin(), reader.inputs.end(), [&](const std::string& input) {
          return !input.empty() && graph.Constant(input) == nullptr;
        });
    if (variables != 1 || reader.outputs.size() != 1) break;
    value = reader.output(0);
  }
  return state.encodings.contains(value) ? value : layer.output(0);
}

}  // namespace

std::vector<report::LayerFacts> LayerFactsOf(const ModelState& state) {
  const std::shared_ptr<graph::Graph> graph = graph::WithBodies(state.model);
  const auto encoding_of = [&](const std::string& value) {
    const auto found = state.encodings.find(value);
    return found == state.encodings.end() ? nullptr : &found->second;
  };
  std::vector<report::LayerFacts> layers;
  for (const graph::NodePtr& node : graph->nodes()) {
    if (!graph::IsLayerOp(*node)) continue;
    const size_t index = graph::WeightIndex(*graph, *node);
    const Tensor* weight = graph->Constant(node->input(index));
    if (weight == nullptr || !IsFloating(weight->dtype())) continue;
    report::LayerFacts facts = {.node = node->DisplayName(),
                                .name = node->NameOrOutput(),
                                .op_type = node->op_type,
                                .input = node->input(1 - index),
                                .output = OutputOf(state, *graph, *node)};
    if (const Encoding* input = encoding_of(facts.input)) facts.input_grid = input->grid.Name();
    AddWeight(*weight, encoding_of(node->input(index)), &facts);
    layers.push_back(std::move(facts));
  }
  return layers;
}

}  // namespace roundel
