#include "lib/targets/dynamic_product.h"

#include <algorithm>

#include "lib/graph/layer_slots.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Node;
using quant::Encoding;
using quant::Granularity;

Tensor Transposed(const Tensor& codes) {
  const int64_t rows = codes.dim(0), columns = codes.dim(1);
  Tensor out = Tensor::Empty(codes.dtype(), {columns, rows});
  const auto* from = static_cast<const uint8_t*>(codes.raw());
  auto* to = static_cast<uint8_t*>(out.mutable_raw());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) to[j * rows + i] = from[i * columns + j];
  return out;
}

bool IsTransposed(const Node& node) { return node.Is("Gemm") && node.Int("transB", 0) != 0; }

// The codes of the weight in the layout of the product. Layers with the same layout share them. A
// matrix that others read untransposed is transposed at run time (runtimes fold that): otherwise it
// would be stored twice.
std::string Codes(DynamicWriting& s, const Node& node, const std::string& value,
                  const Encoding& e) {
  const bool transposed = IsTransposed(node);
  const auto [known, fresh] = s.codes.try_emplace({value, transposed});
  if (!fresh) return known->second;
  const Tensor& weight = *s.g.Constant(value);
  const auto& uses = s.g.Uses(value);
  const bool alone = std::all_of(uses.begin(), uses.end(), [&](const graph::Use& use) {
    return s.layers.contains(MainOutput(*use.node)) && IsTransposed(*use.node);
  });
  if (!transposed || alone) {
    const Tensor codes = CodesOf(weight, e);
    return known->second =
               s.AddConstant(value + kQuantizedSuffix, transposed ? Transposed(codes) : codes);
  }
  const auto [plain, first] = s.codes.try_emplace({value, false});
  if (first) plain->second = s.AddConstant(value + kQuantizedSuffix, CodesOf(weight, e));
  const std::string turned = s.names.Fresh(value + "_transposed");
  Node transpose{.name = s.names.Fresh(value + "_Transpose"),
                 .op_type = "Transpose",
                 .inputs = {plain->second},
                 .outputs = {turned}};
  transpose.SetAttribute("perm", std::vector<int64_t>{1, 0});
  s.made->AddNode(std::move(transpose));
  return s.codes[{value, true}] = turned;
}

// The integer product, cast to float. Returns its name.
std::string WriteProduct(DynamicWriting& s, const Node& node, const std::string& value,
                         const Encoding& e, const QuantizedInput& x) {
  const bool conv = node.Is("Conv");
  const std::string& output = node.output(0);
  const std::string sum = s.names.Fresh(output + "_quantized_sum");
  Node product{
      .name = s.names.Fresh(node.NameOrOutput() + "_quant"),
      .op_type = conv ? "ConvInteger" : "MatMulInteger",
      .inputs = {x.codes, Codes(s, node, value, e), x.zero_point, s.ZeroPoint(value, e, conv)},
      .outputs = {sum}};
  if (conv) product.attributes = node.attributes;
  s.made->AddNode(std::move(product));
  const std::string cast = s.names.Fresh(output + "_sum");
  Node to_float{.name = s.names.Fresh(output + "_cast"),
                .op_type = "Cast",
                .inputs = {sum},
                .outputs = {cast}};
  to_float.SetAttribute("to", static_cast<int64_t>(DType::kFloat));
  s.made->AddNode(std::move(to_float));
  return cast;
}

// Scales of the weight, along the channel axis of the output.
Tensor ScaleTensor(const Node& node, const Encoding& e, int64_t rank) {
  std::vector<float> scales;
  const float alpha = node.Is("Gemm") ? node.Float("alpha", 1) : 1.0f;
  for (const quant::QParams& p : e.params) scales.push_back(p.scale * alpha);
  Shape shape;
  if (e.granularity == Granularity::kChannel) shape = {static_cast<int64_t>(scales.size())};
  if (!shape.empty() && node.Is("Conv")) shape.insert(shape.end(), rank - 2, 1);
  return Tensor::FromVector(shape, scales);
}

// The name of the bias, in the shape and scale in which it is added; "" if there is none.
std::string WriteBias(DynamicWriting& s, const Node& node, int64_t rank) {
  const std::string& bias = node.input(2);
  if (node.Is("MatMul") || bias.empty()) return "";
  if (node.Is("Conv")) {
    const std::string shaped = s.names.Fresh(bias + "_reshaped");
    std::vector<int64_t> shape(static_cast<size_t>(rank) - 1, 1);
    shape[0] = -1;
    s.made->AddNode(
        {.name = s.names.Fresh(bias + "_reshape"),
         .op_type = "Reshape",
         .inputs = {bias, s.AddConstant(bias + "_shape", Tensor::FromVector({rank - 1}, shape))},
         .outputs = {shaped}});
    return shaped;
  }
  const float beta = node.Float("beta", 1);
  if (beta == 1) return bias;
  const std::string scaled = s.names.Fresh(bias + "_scaled");
  s.made->AddNode({.name = s.names.Fresh(bias + "_beta"),
                   .op_type = "Mul",
                   .inputs = {bias, s.AddConstant(bias + "_beta", Tensor::Scalar(beta))},
                   .outputs = {scaled}});
  return scaled;
}

void WriteScaled(DynamicWriting& s, const Node& node, const std::string& value, const Encoding& e,
                 const std::string& sum, const QuantizedInput& x, int64_t rank) {
  const std::string& output = node.output(0);
  const std::string scale = s.names.Fresh(output + "_scale");
  s.made->AddNode(
      {.name = s.names.Fresh(output + "_scales_mul"),
       .op_type = "Mul",
       .inputs = {x.scale, s.AddConstant(value + kScaleSuffix, ScaleTensor(node, e, rank))},
       .outputs = {scale}});
  const std::string bias = WriteBias(s, node, rank);
  const std::string product = bias.empty() ? output : s.names.Fresh(output + "_product");
  s.made->AddNode({.name = s.names.Fresh(output + "_scale_mul"),
                   .op_type = "Mul",
                   .inputs = {sum, scale},
                   .outputs = {product}});
  if (!bias.empty())
    s.made->AddNode({.name = s.names.Fresh(output + "_bias_add"),
                     .op_type = "Add",
                     .inputs = {product, bias},
                     .outputs = {output}});
}

}  // namespace

bool WriteProductLayer(DynamicWriting& s, const Node& node) {
  const std::string& value = node.input(1);
  const auto entry = s.table.find(value);
  const Tensor* weight = s.g.Constant(value);
  if (entry == s.table.end() || !weight) return false;
  const Encoding& e = entry->second;
  const bool conv = node.Is("Conv");
  // ConvInteger takes one zero point. The scale of a block cannot be applied after the sum over
  // all blocks.
  if (!HasByteCodes(e) || e.granularity == Granularity::kBlock || (conv && !SameZeroPoints(e)))
    return false;
  const graph::LayerSlots slots = *graph::FindLayerSlots(s.g, node, weight->rank());
  if (e.granularity == Granularity::kChannel && e.axis != slots.channel_axis) return false;
  const QuantizedInput& x = s.QuantizeInput(node.input(0));
  const std::string sum = WriteProduct(s, node, value, e, x);
  WriteScaled(s, node, value, e, sum, x, weight->rank());
  s.written.insert(value);
  return true;
}

}  // namespace roundel::target
