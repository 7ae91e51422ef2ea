#include "lib/targets/layer_forms.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "lib/graph/rounded_products.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;

constexpr const char* kOnCodes[] = {"QLinearConv", "QLinearMatMul", "QGemm"};
constexpr const char* kDynamic[] = {"ConvInteger",         "MatMulInteger",
                                    "DynamicQuantizeLSTM", "DynamicQuantizeMatMul",
                                    "QAttention",          "MatMulIntegerToFloat"};

template <size_t N>
bool IsOneOf(const char* const (&names)[N], const std::string& name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

using Scopes = std::vector<const Graph*>;  // a body and the graphs around it, outermost first

const Node* Dequantizer(const Scopes& scopes, const std::string& value) {
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope)
    if (const Node* producer = (*scope)->Producer(value))
      return producer->op_type == "DequantizeLinear" ? producer : nullptr;
  return nullptr;
}

bool IsDequantized(const Scopes& scopes, const std::string& value) {
  return Dequantizer(scopes, value) != nullptr;
}

bool RoundsInput(const Scopes& scopes, const Node& node) {
  const Graph& graph = *scopes.back();
  const auto readers = [&](const std::string& value) {
    std::vector<const Node*> nodes;
    for (const graph::Use& use : graph.Uses(value)) nodes.push_back(use.node);
    if (graph.IsOutput(value)) nodes.push_back(nullptr);
    return nodes;
  };
  const auto constant = [&](const std::string& value) -> const Tensor* {
    for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope)
      if (const Tensor* found = (*scope)->Constant(value)) return found;
    return nullptr;
  };
  const auto producer = [&](const std::string& value) { return graph.Producer(value); };
  return graph::RoundedInputOf(node, {producer, readers, constant}).block_size > 0;
}

void Count(const Scopes& scopes, LayerForms* forms) {
  for (const graph::NodePtr& node : scopes.back()->nodes()) {
    graph::ForEachSubgraph(*node, [&](Graph& body) {
      Scopes inner = scopes;
      inner.push_back(&body);
      Count(inner, forms);
    });
    if (IsOneOf(kOnCodes, node->op_type)) {
      ++forms->on_codes;
    } else if (IsOneOf(kDynamic, node->op_type)) {
      ++forms->dynamic;
    } else if (node->op_type == "MatMulNBits") {
      ++forms->packed;
    } else if (graph::IsLayerOp(*node) || IsRecurrent(*node)) {
      const bool sides[2] = {IsDequantized(scopes, node->input(0)),
                             IsDequantized(scopes, node->input(1))};
      const bool on_codes = sides[0] && sides[1] && !IsRecurrent(*node);
      if (RoundsInput(scopes, *node)) ++forms->products;
      ++(on_codes ? forms->on_codes : sides[0] || sides[1] ? forms->dequantized : forms->floats);
    }
  }
}

}  // namespace

LayerForms CountLayerForms(const graph::Model& model) {
  LayerForms forms;
  Count({model.graph.get()}, &forms);
  return forms;
}

}  // namespace roundel::target
