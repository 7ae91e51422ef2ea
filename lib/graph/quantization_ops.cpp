#include "lib/graph/quantization_ops.h"

#include <algorithm>
#include <map>
#include <unordered_set>

namespace roundel::graph {
namespace {

// Of any domain.
const std::unordered_set<std::string> kOps = {
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger",
    // com.microsoft
    "MatMulNBits", "MatMulBnb4", "MatMulFpQ4", "GatherBlockQuantized", "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulInteger16", "QAttention", "QGemm",
    "QMoE", "QEmbedLayerNormalization", "QOrderedMatMul", "QOrderedAttention", "QOrderedGelu",
    "QOrderedLayerNormalization", "QOrderedLongformerAttention", "QuantizeWithOrder",
    "DequantizeWithOrder", "QuantizeBFP", "DequantizeBFP",
    // other tools: QONNX and Brevitas, OpenVINO, vendors' toolkits
    "Quant", "BipolarQuant", "IntQuant", "FloatQuant", "MultiThreshold", "FakeQuantize",
    "FixedNeuron", "VitisQuantizeLinear", "VitisDequantizeLinear", "ExtendedQuantizeLinear",
    "ExtendedDequantizeLinear", "BFPQuantizeDequantize", "MXQuantizeDequantize",
    "TRT_FP8QuantizeLinear", "TRT_FP8DequantizeLinear", "TRT_INT4QuantizeLinear",
    "TRT_INT4DequantizeLinear", "TRT_FP4DynamicQuantize", "Int8Quantize", "Int8Dequantize",
    "Int8Conv", "Int8FC"};

void Count(const Node& node, std::map<std::string, int64_t>* counts) {
  if (IsQuantizationOp(node)) ++(*counts)[node.op_type];
  ForEachSubgraph(node, [&](Graph& sub) {
    for (const NodePtr& inner : sub.nodes()) Count(*inner, counts);
  });
}

}  // namespace

bool IsQuantizationOp(const Node& node) {
  return kOps.contains(node.op_type) || node.op_type.starts_with("QLinear");
}

std::vector<std::string> QuantizationOps(const Model& model) {
  std::map<std::string, int64_t> counts;
  for (const NodePtr& node : model.graph->nodes()) Count(*node, &counts);
  for (const Function& function : model.functions)
    for (const NodePtr& node : function.nodes) Count(*node, &counts);
  std::vector<std::pair<std::string, int64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> names;
  for (auto& [name, count] : sorted) names.push_back(std::move(name));
  return names;
}

}  // namespace roundel::graph
