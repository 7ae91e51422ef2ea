#include "lib/targets/dynamic_writing.h"

namespace roundel::target {

using quant::Encoding;
using quant::Granularity;

const QuantizedInput& DynamicWriting::QuantizeInput(const std::string& value) {
  const auto [known, fresh] = quantized.try_emplace(value);
  if (!fresh) return known->second;
  known->second = {names.Fresh(value + kQuantizedSuffix), names.Fresh(value + kScaleSuffix),
                   names.Fresh(value + kZeroPointSuffix)};
  made->AddNode({.name = names.Fresh(value + kQuantizeSuffix),
                 .op_type = "DynamicQuantizeLinear",
                 .inputs = {value},
                 .outputs = {known->second.codes, known->second.scale, known->second.zero_point}});
  return known->second;
}

std::string DynamicWriting::AddConstant(const std::string& name, const Tensor& value) {
  const std::string fresh = names.Fresh(name);
  made->AddInitializer({.name = fresh, .value = value});
  return fresh;
}

std::string DynamicWriting::ZeroPoint(const std::string& value, const Encoding& e, bool single) {
  const size_t count = single ? 1 : e.params.size();
  const Shape shape = count == 1 && (single || e.granularity == Granularity::kTensor)
                          ? Shape{}
                          : Shape{int64_t(count)};
  Tensor zero_points = Tensor::Empty(e.grid.storage_type(), shape);
  auto* to = static_cast<uint8_t*>(zero_points.mutable_raw());
  for (size_t i = 0; i < count; ++i) to[i] = static_cast<uint8_t>(e.params[i].zero_point);
  return AddConstant(value + kZeroPointSuffix, zero_points);
}

bool HasByteCodes(const Encoding& e) {
  return IsInteger(e.grid.storage_type()) && BitWidth(e.grid.storage_type()) == 8;
}

bool SameZeroPoints(const Encoding& e) {
  for (const quant::QParams& p : e.params)
    if (p.zero_point != e.params[0].zero_point) return false;
  return true;
}

Tensor CodesOf(const Tensor& weight, const Encoding& e) {
  return e.codes ? *e.codes : quant::QuantizeTensor(weight, e);
}

}  // namespace roundel::target
