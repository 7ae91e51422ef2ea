#include "lib/targets/export_nodes.h"

#include <cmath>
#include <cstdint>
#include <utility>

#include "lib/quant/coded_scales.h"
#include "lib/quant/float_grid.h"
#include "lib/targets/export_check.h"

namespace roundel::target {
namespace {

using graph::Node;
using quant::Encoding;
using quant::Granularity;
using quant::Role;

// Zero points in their storage type.
Tensor IntegerTensor(const std::vector<int32_t>& values, const Shape& shape, DType type) {
  const auto as = [&]<typename T>(T) {
    return Tensor::FromVector(shape, std::vector<T>(values.begin(), values.end()));
  };
  switch (type) {
    case DType::kInt32: return as(int32_t{});
    case DType::kInt16: return as(int16_t{});
    case DType::kUint16: return as(uint16_t{});
    case DType::kInt8:
    case DType::kInt4:
    case DType::kInt2: return quant::PackCodes(as(int8_t{}), type);
    default: return quant::PackCodes(as(uint8_t{}), type);
  }
}

// float8e8m0: the biased exponent of each power of two.
Tensor PowersOfTwo(const std::vector<float>& powers, const Shape& shape) {
  constexpr int kBias = 127;
  Tensor codes = Tensor::Empty(DType::kFloat8E8M0, shape);
  auto* to = static_cast<uint8_t*>(codes.mutable_raw());
  for (const float power : powers) *to++ = static_cast<uint8_t>(std::ilogb(power) + kBias);
  return codes;
}

// Writes scales that are codes: in float8e8m0, or in float8 with one float as their unit (NVFP4).
// False: these scales are floats.
bool AddCodedScales(Exporting& s, const std::string& scale, const Encoding& e,
                    const Shape& value_shape) {
  const bool powers = HasPowerScales(e, s.options);
  if (e.grid.scales != quant::ScaleKind::kFloat8 && !powers) return false;
  const auto found = quant::FindScaleCodes(value_shape, e);
  if (!found) return false;
  if (powers) {
    s.out->AddInitializer(
        {.name = scale, .value = PowersOfTwo(found->codes, quant::ScaleShape(e, value_shape))});
    return true;
  }
  constexpr DType kType = DType::kFloat8E4M3FN;
  Tensor codes = Tensor::Empty(kType, quant::ScaleShape(e, value_shape));
  quant::EncodeFloats(found->codes.data(), codes.size(), 1.0f, quant::GridKind::kFloat8E4M3FN,
                      codes.mutable_raw());
  const std::string quantized = s.names.Fresh(scale + kQuantizedSuffix);
  const std::string unit = s.names.Fresh(scale + kScaleSuffix);
  const std::string zero_point = s.names.Fresh(scale + kZeroPointSuffix);
  s.out->AddInitializer({.name = quantized, .value = codes});
  s.out->AddInitializer({.name = unit, .value = Tensor::Scalar(found->units[0])});
  s.out->AddInitializer({.name = zero_point, .value = Tensor::Zeros(kType, {})});
  s.out->AddNode({.name = s.names.Fresh(scale + kDequantizeSuffix),
                  .op_type = "DequantizeLinear",
                  .inputs = {quantized, unit, zero_point},
                  .outputs = {scale}});
  return true;
}

// Adds initializers for scale and zero point. Returns their names.
std::pair<std::string, std::string> AddParams(Exporting& s, const std::string& base,
                                              const Encoding& e, DType type,
                                              const Shape& value_shape) {
  const Shape shape = e.granularity == Granularity::kChannel
                          ? Shape{static_cast<int64_t>(e.params.size())}
                          : quant::ScaleShape(e, value_shape);
  std::vector<float> scales;
  std::vector<int32_t> zero_points;
  for (const quant::QParams& p : e.params) {
    scales.push_back(p.scale);
    zero_points.push_back(p.zero_point);
  }
  const std::string scale = s.names.Fresh(base + kScaleSuffix);
  const std::string zero_point = s.names.Fresh(base + kZeroPointSuffix);
  if (!AddCodedScales(s, scale, e, value_shape))
    s.out->AddInitializer({.name = scale, .value = Tensor::FromVector(shape, scales)});
  s.out->AddInitializer({.name = zero_point,
                         .value = e.grid.is_float() ? Tensor::Zeros(type, shape)
                                                    : IntegerTensor(zero_points, shape, type)});
  return {scale, zero_point};
}

// Rounds `from` to a 16-bit float type, or converts it back.
void AddCast(Exporting& s, const std::string& value, const std::string& from, const std::string& to,
             DType type) {
  Node node{
      .name = s.names.Fresh(value + "_Cast"), .op_type = "Cast", .inputs = {from}, .outputs = {to}};
  node.SetAttribute("to", static_cast<int64_t>(type));
  s.out->AddNode(std::move(node));
}

Node MakeNode(Exporting& s, const std::string& value, const char* op_type, const char* name_suffix,
              std::vector<std::string> inputs, const std::string& output, const Encoding& e) {
  Node node{.name = s.names.Fresh(value + name_suffix),
            .op_type = op_type,
            .domain = s.domain,
            .inputs = std::move(inputs),
            .outputs = {output}};
  if (e.granularity != Granularity::kTensor) node.SetAttribute("axis", e.axis);
  if (e.granularity == Granularity::kBlock) node.SetAttribute("block_size", e.block_size);
  return node;
}

void AddDequantize(Exporting& s, const std::string& value, std::vector<std::string> inputs,
                   const std::string& output, const Encoding& e) {
  Node node =
      MakeNode(s, value, "DequantizeLinear", kDequantizeSuffix, std::move(inputs), output, e);
  // Import reads the grid here: the storage type does not determine it.
  node.doc_string = e.grid.Name();
  if (HasPowerScales(e, s.options))
    node.SetAttribute("output_dtype", static_cast<int64_t>(DType::kFloat));
  s.out->AddNode(std::move(node));
}

// Clips a value to the ends of a grid that does not fill its storage type. Returns the new name.
std::string AddClip(Exporting& s, const std::string& value, const Encoding& e) {
  Node node{.name = s.names.Fresh(value + "_Clip"),
            .op_type = "Clip",
            .inputs = {s.WriteName(value)},
            .outputs = {s.names.Fresh(value + "_Clip_Output")}};
  for (const int32_t code : {e.grid.qmin(), e.grid.qmax()}) {
    const std::string bound = s.names.Fresh(value + "_bound");
    s.out->AddInitializer(
        {.name = bound, .value = Tensor::Scalar(quant::Dequantize(code, e.params[0]))});
    node.inputs.push_back(bound);
  }
  const std::string output = node.outputs[0];
  s.out->AddNode(std::move(node));
  return output;
}

}  // namespace

void AddPair(Exporting& s, const std::string& value) {
  const Encoding* e = s.Find(value);
  if (!e || s.g.Constant(value) || !s.IsUsed(value)) return;
  if (!e->grid.has_scale()) {
    const std::string words = s.names.Fresh(value + "_Cast_Output");
    AddCast(s, value, s.WriteName(value), words, e->grid.storage_type());
    return AddCast(s, value, words, s.ReadName(value), DType::kFloat);
  }
  const std::string& source = FillsStorage(e->grid) ? s.WriteName(value) : AddClip(s, value, *e);
  const auto [scale, zero_point] = AddParams(s, value, *e, e->grid.storage_type(), {});
  const std::string codes = s.names.Fresh(value + kQuantizeOutputSuffix);
  s.out->AddNode(MakeNode(s, value, "QuantizeLinear", kQuantizeSuffix, {source, scale, zero_point},
                          codes, *e));
  AddDequantize(s, value, {codes, scale, zero_point}, s.ReadName(value), *e);
}

void AddConstant(Exporting& s, const std::string& value) {
  const Encoding& e = *s.Find(value);
  const Tensor& constant = *s.g.Constant(value);
  const Tensor codes = e.codes ? *e.codes : quant::QuantizeTensor(constant, e);
  const std::string quantized = s.names.Fresh(value + kQuantizedSuffix);
  if (!e.grid.has_scale()) {
    s.out->AddInitializer({.name = quantized, .value = codes});
    return AddCast(s, value, quantized, s.ReadName(value), DType::kFloat);
  }
  const DType type = StorageType(s.g, s.table, value, e, s.least_bits);
  const std::string base = e.role == Role::kBias ? value + kQuantizedSuffix : value;
  const auto [scale, zero_point] = AddParams(s, base, e, type, constant.shape());
  s.out->AddInitializer({.name = quantized, .value = quant::PackCodes(codes, type)});
  AddDequantize(s, value, {quantized, scale, zero_point}, s.ReadName(value), e);
}

}  // namespace roundel::target
