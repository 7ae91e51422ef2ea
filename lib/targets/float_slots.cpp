#include "lib/targets/float_slots.h"

#include <unordered_map>
#include <unordered_set>

#include "lib/graph/value_types.h"
#include "lib/targets/graph_edit.h"

namespace roundel::target {
namespace {

using graph::Node;

// ONNX operators without 16-bit floats, with the first opset that adds them (0: none).
const std::unordered_map<std::string, int64_t> kLateHalves = {
    {"CumSum", 14},         {"DequantizeLinear", 19}, {"DynamicQuantizeLinear", 0},
    {"IsInf", 20},          {"NonMaxSuppression", 0}, {"QLinearConv", 0},
    {"QLinearMatMul", 0},   {"QuantizeLinear", 19},   {"Range", 0},
    {"TfIdfVectorizer", 0},
};

// Of com.microsoft: on codes, or with kernels for float32 only.
const std::unordered_set<std::string> kContribFloat32 = {
    "CropAndResize",  "DequantizeLinear",     "DynamicQuantizeLSTM", "DynamicQuantizeMatMul",
    "FusedGemm",      "MatMulIntegerToFloat", "QAttention",          "QEmbedLayerNormalization",
    "QGemm",          "QOrderedMatMul",       "QuantizeLinear",      "Range",
    "TransposeMatMul"};

// By operator: inputs that are always float32, and inputs that may have another type than the node.
struct Inputs {
  std::unordered_set<size_t> float32, free;
};
const std::unordered_map<std::string, Inputs> kInputs = {
    {"Bernoulli", {{}, {0}}},
    {"Cast", {{}, {0}}},
    {"CastLike", {{}, {0}}},
    {"Dropout", {{}, {1}}},
    {"EyeLike", {{}, {0}}},
    {"GroupNorm", {{1, 2}, {}}},
    {"Identity", {{}, {0}}},
    {"MelWeightMatrix", {{}, {3, 4}}},
    {"Multinomial", {{}, {0}}},
    {"NonZero", {{}, {0}}},
    {"OneHot", {{}, {0, 1}}},
    {"Pow", {{}, {1}}},
    {"RandomNormalLike", {{}, {0}}},
    {"RandomUniformLike", {{}, {0}}},
    {"Shape", {{}, {0}}},
    {"Size", {{}, {0}}},
    {"SkipGroupNorm", {{1, 2}, {}}},
    {"Upsample", {{1}, {}}},
};

// Statistics of normalizations.
const std::unordered_set<std::string> kFloat32Statistics = {
    "LayerNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization"};
constexpr size_t kFirstStatistic = 1, kLastStatistic = 2;

bool IsOnnx(const Node& node) { return node.domain.empty(); }
bool IsContrib(const Node& node) { return node.domain == kContribDomain; }

}  // namespace

bool IsFloat32Only(const Node& node, int64_t opset) {
  if (IsContrib(node))
    return kContribFloat32.contains(node.op_type) || node.op_type.starts_with("QLinear");
  if (!IsOnnx(node)) return node.domain.starts_with("ai.onnx.");  // classical machine learning
  const auto late = kLateHalves.find(node.op_type);
  return late != kLateHalves.end() && (late->second == 0 || opset < late->second);
}

bool MayBeHalf(const Node& node, int64_t opset) {
  return (IsOnnx(node) || IsContrib(node)) && graph::HasTypeRule(node.domain, node.op_type) &&
         !IsFloat32Only(node, opset);
}

FloatSlot InputSlot(const Node& node, size_t index, int64_t opset) {
  if (IsFloat32Only(node, opset)) return FloatSlot::kFloat32;
  if (node.Is("Resize")) {
    constexpr int64_t kWithRoi = 11;
    if (index == (opset < kWithRoi ? 1U : 2U)) return FloatSlot::kFloat32;
    return index == 1 ? FloatSlot::kFree : FloatSlot::kNode;
  }
  const auto inputs = kInputs.find(node.op_type);
  if (inputs == kInputs.end() || (!IsOnnx(node) && !IsContrib(node))) return FloatSlot::kNode;
  if (inputs->second.float32.contains(index)) return FloatSlot::kFloat32;
  return inputs->second.free.contains(index) ? FloatSlot::kFree : FloatSlot::kNode;
}

FloatSlot OutputSlot(const Node& node, size_t index, int64_t opset) {
  if (IsFloat32Only(node, opset)) return FloatSlot::kFloat32;
  const bool statistics = kFloat32Statistics.contains(node.op_type) &&
                          (index == kFirstStatistic || index == kLastStatistic);
  return statistics ? FloatSlot::kFloat32 : FloatSlot::kNode;
}

std::string TypeAttribute(const Node& node) {
  const std::string& op = node.op_type;
  if (!IsOnnx(node)) return "";
  if (op == "Cast") return "to";
  if (op.starts_with("Random") || op == "EyeLike" || op == "Bernoulli") return "dtype";
  if (op.ends_with("Window") || op == "MelWeightMatrix") return "output_datatype";
  return op == "DequantizeLinear" && node.FindAttribute("output_dtype") ? "output_dtype" : "";
}

}  // namespace roundel::target
