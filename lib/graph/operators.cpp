#include "lib/graph/operators.h"

#include <unordered_map>

namespace roundel::graph {
namespace {

using enum Fact::Bit;
using enum Samples;

constexpr TypeSource kBool = OfType(DType::kBool), kInt64 = OfType(DType::kInt64),
                     kInt32 = OfType(DType::kInt32), kUint8 = OfType(DType::kUint8),
                     kFloat = OfType(DType::kFloat);

// clang-format off
const OperatorRow kOnnx[] = {
    {"Abs", kPointwise | kMagnitude | kSampled, {0}, kApart},
    {"Acos", kKeepsRank},
    {"Add", kBroadcasts | kLinear | kOneType | kMaskOperand | kComputesSizes | kSampled},
    {"And", kBroadcasts | kMaskOperand, {kBool}},
    {"ArgMax", kOrders, {kInt64}},
    {"ArgMin", kOrders, {kInt64}},
    {"Asin", kKeepsRank},
    {"Atan", kKeepsRank},
    {"AveragePool", kKeepsRank | kLinear | kSampledAsIs, {0}, kApart},
    {"BatchNormalization", kKeepsRank | kLocal | kLinear | kSteered | kSampled, {0, 3}},
    {"Cast", kPointwise | kOrders | kKeepsRanking | kLinear | kComputesSizes, {0}, kApart},
    {"CastLike", kKeepsRank, {1}},
    {"Ceil", kPointwise | kOrders | kComputesSizes, {0}, kApart},
    {"Celu", kPointwise | kOrders, {0}, kApart},
    {"Clip", kPointwise | kOrders | kBounds | kLinear | kSteered | kMaskOperand | kSampled, {0},
      kApart},
    {"Concat", kKeepsRank | kMoves | kLinear | kOneType | kMaskOperand | kComputesSizes | kSampled},
    {"Constant", kMaskOperand},
    {"ConstantOfShape", kMaskOperand},
    {"Conv", kLayer | kKeepsRank | kLocal | kOneType, {0}, kApart},
    {"ConvInteger", 0, {kInt32}},
    {"ConvTranspose", kLayer | kKeepsRank | kLocal | kOneType, {0}, kApart},
    {"Cos", kPointwise, {0}, kApart},
    {"CumSum", kKeepsRank},
    {"DepthToSpace", kKeepsRank | kMoves, {0}, kApart},
    {"DequantizeLinear", kKeepsRank},
    {"Div", kBroadcasts | kOneType | kComputesSizes | kSampled},
    {"Dropout", kKeepsRank | kMoves | kSteered | kSampledAsIs, {0, kBool}},
    {"DynamicQuantizeLinear", 0, {kUint8, kFloat, kUint8}},
    {"Elu", kPointwise | kOrders | kSampled, {0}, kApart},
    {"Equal", kBroadcasts | kMaskOperand | kComputesSizes, {kBool}},
    {"Erf", kPointwise | kSampled, {0}, kApart},
    {"Exp", kPointwise | kOrders | kSampled, {0}, kApart},
    {"Expand", kMoves | kLinear | kSteered | kMaskOperand},
    {"Flatten", kMoves | kKeepsRanking | kLinear | kSampledFlat},
    {"Floor", kPointwise | kOrders | kComputesSizes, {0}, kApart},
    {"GRU", kRecurrent | kLocal},
    {"Gather", kMoves | kLinear | kSteered | kComputesSizes},
    {"GatherElements", kKeepsRank | kMoves | kSteered},
    {"GatherND", kMoves},
    {"Gelu", kPointwise | kOrders | kSampled, {0}, kApart},
    {"Gemm", kLayer | kMatrix | kOneType},
    {"GlobalAveragePool", kKeepsRank | kSampledAsIs, {0}, kApart},
    {"GlobalMaxPool", kKeepsRank | kOrders, {0}, kApart},
    {"Greater", kBroadcasts | kOrders | kMaskOperand, {kBool}},
    {"GreaterOrEqual", kBroadcasts | kOrders, {kBool}},
    {"GridSample", kKeepsRank},
    {"GroupNormalization", kKeepsRank | kLocal | kSteered, {0}, kApart},
    {"HardSigmoid", kPointwise | kOrders | kSampled, {0}, kApart},
    {"HardSwish", kPointwise | kOrders | kSampled, {0}, kApart},
    {"Hardmax", kKeepsRank | kOrders},
    {"Identity", kPointwise | kMoves | kKeepsRanking | kLinear | kMaskOperand | kComputesSizes |
      kSampledAsIs, {0}, kApart},
    {"If", kHasBodies},
    {"InstanceNormalization", kKeepsRank | kLocal | kSteered | kOneType, {0}, kApart},
    {"IsInf", kPointwise, {kBool}, kApart},
    {"IsNaN", kPointwise, {kBool}, kApart},
    {"LRN", kLocal | kSteered, {0}, kApart},
    {"LSTM", kRecurrent | kLocal},
    {"LayerNormalization", kKeepsRank | kLocal | kSteered, {0, kFloat}, kAxis},
    {"LeakyRelu", kPointwise | kOrders | kSampled, {0}, kApart},
    {"Less", kBroadcasts | kOrders | kMaskOperand, {kBool}},
    {"LessOrEqual", kBroadcasts | kOrders, {kBool}},
    {"Log", kPointwise | kOrders, {0}, kApart},
    {"LogSoftmax", kKeepsRank | kNormalizes | kKeepsRanking, {0}, kAxis},
    {"Loop", kHasBodies},
    {"LpNormalization", kKeepsRank | kNormalizes},
    {"LpPool", 0, {0}, kApart},
    {"MatMul", kLayer | kMatrix | kOneType},
    {"MatMulInteger", 0, {kInt32}},
    {"Max", kBroadcasts | kOrders | kBounds | kLinear | kOneType | kMaskOperand | kComputesSizes |
      kSampled},
    {"MaxPool", kKeepsRank | kOrders | kSampledAsIs, {0, kInt64}, kApart},
    {"Mean", kBroadcasts | kOneType},
    {"Min", kBroadcasts | kOrders | kBounds | kLinear | kOneType | kMaskOperand | kComputesSizes |
      kSampled},
    {"Mish", kPointwise | kOrders | kSampled, {0}, kApart},
    {"Mod", kBroadcasts | kComputesSizes},
    {"Mul", kBroadcasts | kOneType | kMaskOperand | kComputesSizes | kSampled},
    {"Neg", kPointwise | kLinear | kComputesSizes | kSampled, {0}, kApart},
    {"NonMaxSuppression", kOrders, {kInt64}},
    {"NonZero", 0, {kInt64}},
    {"Not", kPointwise, {kBool}, kApart},
    {"OneHot", 0, {2}},
    {"OptionalHasElement", 0, {kBool}},
    {"Or", kBroadcasts, {kBool}},
    {"PRelu", kKeepsRank | kOrders | kOneType | kSampled, {0}, kApart},
    {"Pad", kKeepsRank | kMoves | kLinear | kSteered | kMaskOperand | kSampled},
    {"Pow", kBroadcasts | kComputesSizes | kSampled},
    {"QLinearConv", 0, {7}, kApart},
    {"QLinearMatMul", 0, {7}},
    {"QuantizeLinear", kKeepsRank},
    {"RMSNormalization", kKeepsRank | kSteered, {0}, kAxis},
    {"RNN", kRecurrent | kLocal},
    {"Range", kComputesSizes},
    {"Reciprocal", kPointwise, {0}, kApart},
    {"ReduceL2", kMagnitude, {0}, kReduces},
    {"ReduceMax", kOrders | kSteered, {0}, kReduces},
    {"ReduceMean", kLinear | kSteered, {0}, kReduces},
    {"ReduceMin", kOrders | kSteered, {0}, kReduces},
    {"ReduceProd", kComputesSizes},
    {"ReduceSum", kLinear | kSteered, {0}, kReduces},
    {"ReduceSumSquare", kMagnitude},
    {"Relu", kPointwise | kOrders | kSampled, {0}, kApart},
    {"Reshape", kMoves | kKeepsRanking | kLinear | kSteered | kComputesSizes | kSampledFlat},
    {"Resize", kKeepsRank | kMoves | kSteered | kSampledAsIs},
    {"Round", kPointwise | kOrders, {0}, kApart},
    {"Scan", kHasBodies},
    {"Scatter", kMaskOperand},
    {"ScatterElements", kKeepsRank | kMoves | kMaskOperand},
    {"ScatterND", kKeepsRank | kMoves | kMaskOperand},
    {"Selu", kPointwise | kOrders | kSampled, {0}, kApart},
    {"SequenceLength", 0, {kInt64}},
    {"Shape", 0, {kInt64}},
    {"Sigmoid", kPointwise | kOrders | kSampled, {0}, kApart},
    {"Sign", kPointwise, {0}, kApart},
    {"SimplifiedLayerNormalization", 0, {0, kFloat}},
    {"Sin", kPointwise, {0}, kApart},
    {"Size", 0, {kInt64}},
    {"Slice", kKeepsRank | kMoves | kLinear | kSteered | kComputesSizes | kSampled},
    {"Softmax", kKeepsRank | kNormalizes | kKeepsRanking, {0}, kAxis},
    {"Softplus", kPointwise | kOrders | kSampled, {0}, kApart},
    {"Softsign", kPointwise | kOrders | kSampled, {0}, kApart},
    {"SpaceToDepth", kKeepsRank | kMoves, {0}, kApart},
    {"Split", kKeepsRank | kMoves | kLinear | kSteered | kComputesSizes, {0}, kAxis},
    {"Sqrt", kPointwise | kOrders | kLinear | kComputesSizes | kSampled, {0}, kApart},
    {"Squeeze", kMoves | kKeepsRanking | kLinear | kSteered | kComputesSizes | kSampledFlat},
    {"Sub", kBroadcasts | kLinear | kOneType | kMaskOperand | kComputesSizes | kSampled},
    {"Sum", kBroadcasts | kLinear | kOneType},
    {"Swish", kPointwise | kSampled, {0}, kApart},
    {"Tanh", kPointwise | kOrders | kSampled, {0}, kApart},
    {"TfIdfVectorizer", 0, {kFloat}},
    {"ThresholdedRelu", kPointwise | kOrders | kSampled, {0}, kApart},
    {"Tile", kKeepsRank | kMoves | kLinear | kSteered},
    {"TopK", kKeepsRank | kOrders | kSteered, {0, kInt64}},
    {"Transpose", kKeepsRank | kMoves | kKeepsRanking | kLinear},
    {"Trilu", kKeepsRank},
    {"Unique", 0, {0, kInt64}},
    {"Unsqueeze", kMoves | kKeepsRanking | kLinear | kSteered | kComputesSizes},
    {"Upsample", kKeepsRank | kMoves | kSteered | kSampledAsIs},
    {"Where", kBroadcasts | kMoves | kMaskOperand | kComputesSizes, {1}},
    {"Xor", kBroadcasts, {kBool}},
};

// Operators of com.microsoft.
const OperatorRow kContrib[] = {
    {"Attention"},
    {"BiasGelu", kOneType},
    {"BiasSplitGelu"},
    {"DequantizeLinear", 0, {1}},
    {"DynamicQuantizeLSTM"},
    {"DynamicQuantizeMatMul"},
    {"EmbedLayerNormalization", 0, {2, kInt32, 2}},
    {"FastGelu", kOneType},
    {"FusedConv", kOneType},
    {"FusedGemm", kOneType},
    {"FusedMatMul", kOneType},
    {"FusedMatMulActivation"},
    {"GatherBlockQuantized", 0, {2}},
    {"Gelu"},
    {"GridSample"},
    {"GroupNorm"},
    {"GroupQueryAttention"},
    {"Inverse"},
    {"MatMulBnb4"},
    {"MatMulIntegerToFloat", 0, {2}},
    {"MatMulNBits"},
    {"MultiHeadAttention"},
    {"NhwcConv"},
    {"NhwcFusedConv"},
    {"NhwcMaxPool"},
    {"Pad"},
    {"QAttention", 0, {3}},
    {"QGemm", 0, {8}},
    {"QLinearAdd"},
    {"QLinearAveragePool"},
    {"QLinearConcat", 0, {1}},
    {"QLinearConv", 0, {7}},
    {"QLinearGlobalAveragePool", 0, {0}, kApart},
    {"QLinearLeakyRelu"},
    {"QLinearMul"},
    {"QLinearReduceMean"},
    {"QLinearSigmoid"},
    {"QLinearSoftmax"},
    {"QLinearWhere", 0, {1}},
    {"QuantizeLinear", 0, {2}},
    {"QuickGelu"},
    {"Range"},
    {"RotaryEmbedding"},
    {"SkipLayerNormalization", kOneType, {0, kFloat, kFloat, 0}},
    {"SkipSimplifiedLayerNormalization", kOneType, {0, kFloat, kFloat, 0}},
    {"TransposeMatMul"},
    {"Trilu"},
};
// clang-format on

// What the engine puts into its plans, fake quantizers, and those gradients that keep the rank of
// their first input.
const OperatorRow kOwn[] = {
    {"ConvGradInput", kKeepsRank},
    {"ConvGradWeight", kKeepsRank},
    {"ConvTransposeGradInput", kKeepsRank},
    {"ConvTransposeGradWeight", kKeepsRank},
    {"FakeQuant", kKeepsRank},
    {"FakeQuantGrad", kKeepsRank},
    {"RandomMask", kKeepsRank, {OfType(DType::kBool)}},
    {"RoundBlocks", 0, {0}, kAxis},
};
// Gradients are floats.
const OperatorRow kOwnOther = {"", 0, {kFloat}};

using Index = std::unordered_map<std::string, const OperatorRow*>;

template <size_t N>
Index IndexOf(const OperatorRow (&rows)[N]) {
  Index index;
  for (const OperatorRow& row : rows) index.emplace(row.name, &row);
  return index;
}

}  // namespace

const OperatorRow* FindOperator(const std::string& domain, const std::string& op_type) {
  static const Index onnx = IndexOf(kOnnx), contrib = IndexOf(kContrib), own = IndexOf(kOwn);
  const Index* index = domain.empty()              ? &onnx
                       : domain == "com.microsoft" ? &contrib
                       : domain == "roundel"       ? &own
                                                   : nullptr;
  if (!index) return nullptr;
  const auto found = index->find(op_type);
  if (found != index->end()) return found->second;
  return index == &own ? &kOwnOther : nullptr;
}

namespace {
bool HasOneOf(const OperatorRow* row, uint32_t facts) { return row && (row->facts & facts) != 0; }
}  // namespace

bool Has(const Node& node, uint32_t facts) {
  return HasOneOf(FindOperator(node.domain, node.op_type), facts);
}

bool Has(const std::string& op_type, uint32_t facts) {
  return HasOneOf(FindOperator("", op_type), facts);
}

}  // namespace roundel::graph
