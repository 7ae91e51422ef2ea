#include "lib/targets/op_facts.h"

#include <algorithm>
#include <limits>

#include "lib/graph/operators.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A float bound that is an attribute up to opset 10 and an input since then.
std::optional<float> Bound(const Graph& graph, const Node& node, size_t input,
                           const char* attribute, float fallback) {
  if (node.input(input).empty()) return node.Float(attribute, fallback);
  const Tensor* value = graph.Constant(node.input(input));
  if (!value || value->dtype() != DType::kFloat || value->size() != 1) return std::nullopt;
  return value->data<float>()[0];
}

}  // namespace

std::vector<size_t> DataInputs(const Node& node) {
  if (graph::Has(node, graph::Fact::kSteered)) return {0};
  std::vector<size_t> all(node.inputs.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

bool IsRecurrent(const Node& node) { return graph::Has(node, graph::Fact::kRecurrent); }

bool IsFloatLayer(const Node& node) {
  return IsRecurrent(node) || node.Is("Attention", "com.microsoft");
}

const std::string& MainOutput(const Node& node) {
  for (const std::string& output : node.outputs)
    if (!output.empty()) return output;
  return node.output(0);
}

bool KeepsValues(const Graph& graph, const Node& node) {
  if (node.Is("Resize") || node.Is("Upsample")) return node.String("mode", "nearest") != "cubic";
  if (!node.Is("Pad") || node.String("mode", "constant") != "constant") return true;
  if (node.input(2).empty()) return node.Float("value", 0) == 0;
  const Tensor* value = graph.Constant(node.input(2));
  return value && value->dtype() == DType::kFloat && value->size() == 1 &&
         value->data<float>()[0] == 0;
}

std::optional<size_t> MinDataInput(const Graph& graph, const Node& node) {
  if (!node.Is("Min") || node.inputs.size() != 2) return std::nullopt;
  for (const size_t data : {size_t{0}, size_t{1}}) {
    const Tensor* bound = graph.Constant(node.inputs[1 - data]);
    if (bound && bound->dtype() == DType::kFloat && !graph.Constant(node.inputs[data])) return data;
  }
  return std::nullopt;
}

std::optional<Clamp> FindClamp(const Graph& graph, const Node& node) {
  if (node.Is("Relu")) return Clamp{0, kInfinity};
  if (node.Is("Clip")) {
    const auto low = Bound(graph, node, 1, "min", -kInfinity);
    const auto high = Bound(graph, node, 2, "max", kInfinity);
    return low && high ? std::optional<Clamp>({*low, *high}) : std::nullopt;
  }
  const auto data = MinDataInput(graph, node);
  if (!data) return std::nullopt;
  const Tensor* bound = graph.Constant(node.inputs[1 - *data]);
  Clamp clamp{-kInfinity, kInfinity};
  for (const float value : bound->span<float>()) clamp.high = std::min(clamp.high, value);
  return clamp;
}

}  // namespace roundel::target
