#include "lib/graph/rounded_products.h"

#include "lib/graph/metadata.h"

#include <cmath>

namespace roundel::graph {
namespace {

// Blocks of the replaced node where the weight has one scale per tensor or channel.
constexpr int64_t kBlockOfWholeColumns = 32;

bool IsPackable(const Tensor* codes) {
  if (!codes || codes->rank() != 2 || !IsInteger(codes->dtype())) return false;
  const int bits = BitWidth(codes->dtype());
  return bits == 2 || bits == 4 || bits == 8;
}

// The block size that the runtime derives from the shape of scales, or 0.
int64_t BlockOfScales(const Node& dequantize, const Shape& weight, const Shape& scale) {
  const int64_t block = dequantize.Int("block_size", 0);
  if (block > 0) {
    const bool along_columns = dequantize.Int("axis", 1) == 0 && scale.size() == 2;
    return along_columns && block >= 16 && (block & (block - 1)) == 0 ? block : 0;
  }
  if (scale.empty()) return kBlockOfWholeColumns;
  // An axis of -1 is equivalent, but the runtime does not recognize it.
  const bool per_channel = scale == Shape{weight[1]} && dequantize.Int("axis", 1) == 1;
  return per_channel ? kBlockOfWholeColumns : 0;
}

// True for a Gemm that is equivalent to a MatMul with a bias.
bool IsPlainGemm(const Node& node, const ProductScope& scope, int64_t columns) {
  const auto is_one = [&](const char* name) {
    return std::abs(node.Float(name, 1.0f) - 1) <= 1e-6f;
  };
  if (!is_one("alpha") || node.Int("transA", 0) != 0 || node.Int("transB", 0) != 0) return false;
  const std::string& bias = node.input(2);
  if (bias.empty()) return true;
  const Node* dequantize = scope.producer(bias);
  const bool dequantized = dequantize && dequantize->Is("DequantizeLinear");
  const Tensor* value = scope.constant(dequantized ? dequantize->input(0) : bias);
  return is_one("beta") && value && value->shape() == Shape{columns};
}

bool IsQuantized(const std::string& value, const ProductScope& scope) {
  for (const Node* reader : scope.readers(value))
    if (reader && reader->Is("QuantizeLinear")) return true;
  return false;
}

// Whether a MatMul of matrices is fused with the Add after it to a Gemm that is not replaced.
bool BecomesOtherGemm(const Node& product, const ProductScope& scope, int64_t columns) {
  const std::vector<const Node*> readers = scope.readers(product.output(0));
  if (readers.size() != 1 || !readers[0] || !readers[0]->Is("Add")) return false;
  const Node& add = *readers[0];
  const Tensor* bias = scope.constant(add.input(add.input(0) == product.output(0) ? 1 : 0));
  if (!bias) return true;  // a residual: the same shape
  if (bias->shape() == Shape{columns}) return IsQuantized(add.output(0), scope);
  return bias->rank() == 2;
}

}  // namespace

bool RoundsProductInputs(const Model& model) {
  return MetadataOf(model, kRoundsProductInputs) == "true";
}

bool RoundsInputOfBlocks(int64_t bits, int64_t block_size) {
  if (bits == 2) return block_size >= 32 && block_size <= 128;
  return (bits == 4 || bits == 8) && block_size >= 16 && block_size <= 256;
}

RoundedInput RoundedInputOf(const Node& product, const ProductScope& scope) {
  const bool gemm = product.Is("Gemm");
  if (!gemm && !product.Is("MatMul")) return {};
  const auto dequantizer = [&](size_t input) {
    const Node* node = scope.producer(product.input(input));
    return node && node->Is("DequantizeLinear") ? node : nullptr;
  };
  const Node* weight = dequantizer(1);
  if (!weight || dequantizer(0) || scope.constant(product.input(0)) ||
      IsQuantized(product.output(0), scope))
    return {};
  const Tensor* codes = scope.constant(weight->input(0));
  const Tensor* scale = scope.constant(weight->input(1));
  if (!IsPackable(codes) || !scale) return {};
  if (!weight->input(2).empty() && !scope.constant(weight->input(2))) return {};
  if (gemm && !IsPlainGemm(product, scope, codes->dim(1))) return {};
  const int64_t block = BlockOfScales(*weight, codes->shape(), scale->shape());
  if (!RoundsInputOfBlocks(BitWidth(codes->dtype()), block)) return {};
  return {block, gemm || !BecomesOtherGemm(product, scope, codes->dim(1))};
}

}  // namespace roundel::graph
