#include "lib/target/layer_forms.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "lib/target/op_facts.h"

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

// A MatMul or Gemm that multiplies floats with constant codes of 2, 4 or 8 bits.
bool IsProductOfCodes(const Scopes& scopes, const Node& node) {
  if (!node.Is("MatMul") && !node.Is("Gemm")) return false;
  const Node* weight = Dequantizer(scopes, node.input(1));
  if (!weight || IsDequantized(scopes, node.input(0))) return false;
  for (const Graph* scope : scopes) {
    const Tensor* codes = scope->Constant(weight->input(0));
    if (!codes) continue;
    const int bits = BitWidth(codes->dtype());
    return codes->rank() == 2 && IsInteger(codes->dtype()) && (bits == 2 || bits == 4 || bits == 8);
  }
  return false;
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
    } else if (IsLayer(*node) || IsRecurrent(*node)) {
      const bool sides[2] = {IsDequantized(scopes, node->input(0)),
                             IsDequantized(scopes, node->input(1))};
      const bool on_codes = sides[0] && sides[1] && !IsRecurrent(*node);
      if (IsProductOfCodes(scopes, *node)) ++forms->products;
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
