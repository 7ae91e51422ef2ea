#include "lib/targets/quantized.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <string_view>

namespace roundel::target {
namespace {

using graph::Node;

bool HoldsCodes(const Node& node) {
  constexpr std::string_view kNames[] = {"QuantizeLinear",
                                         "DequantizeLinear",
                                         "DynamicQuantizeLinear",
                                         "MatMulInteger",
                                         "ConvInteger",
                                         "MatMulNBits",
                                         "MatMulBnb4",
                                         "GatherBlockQuantized",
                                         "MatMulIntegerToFloat",
                                         "DynamicQuantizeMatMul",
                                         "DynamicQuantizeLSTM",
                                         "QuantizeBFP",
                                         "DequantizeBFP"};
  const std::string_view op = node.op_type;
  if (std::find(std::begin(kNames), std::end(kNames), op) != std::end(kNames)) return true;
  // QLinearConv, QGemm, QAttention, QOrderedMatMul ...
  return op.size() > 2 && op[0] == 'Q' && std::isupper(static_cast<unsigned char>(op[1]));
}

std::string FirstOf(const std::vector<graph::NodePtr>& nodes) {
  for (const graph::NodePtr& node : nodes) {
    if (HoldsCodes(*node)) return node->op_type;
    std::string inner;
    graph::ForEachSubgraph(*node, [&](const graph::Graph& sub) {
      if (inner.empty()) inner = FirstOf(sub.nodes());
    });
    if (!inner.empty()) return inner;
  }
  return "";
}

}  // namespace

std::string QuantizedOperator(const graph::Model& model) {
  std::string found = FirstOf(model.graph->nodes());
  for (size_t i = 0; found.empty() && i < model.functions.size(); ++i)
    found = FirstOf(model.functions[i].nodes);
  return found;
}

}  // namespace roundel::target
