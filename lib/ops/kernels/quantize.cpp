// QuantizeLinear, DequantizeLinear (opset 10 to 25 and com.microsoft) and DynamicQuantizeLinear.

#include <algorithm>

#include "lib/ops/kernels/codes_math.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/small_types.h"
#include "lib/ops/kernels/types.h"
#include "lib/quant/encodings.h"
#include "lib/quant/grid.h"

namespace roundel::engine {
namespace {

// ---- the scale of each element

// x as [outer, dim, inner] around the axis. Scales: one | one per index of the axis | one per block
// of `block` indices, for each outer and inner index.
struct ScaleLayout {
  enum Kind { kTensor, kAxis, kBlock } kind = kTensor;
  int64_t outer = 1, dim = 1, inner = 1, block = 0, blocks = 0;
};

Status ScaleMisfit(const Tensor& x, const Tensor& scale, int64_t axis, int64_t block) {
  return ModelError(StrCat("scale of shape ", ShapeString(scale.shape()), " does not fit x ",
                           ShapeString(x.shape()), " with axis ", axis, " and block_size ", block));
}

Result<ScaleLayout> ResolveLayout(const OpContext& context, const Tensor& x, const Tensor& scale) {
  ScaleLayout layout;
  const int64_t block = context.node().Int("block_size", 0);
  const int64_t raw_axis = context.node().Int("axis", 1);
  if (scale.size() == 1 && scale.rank() <= 1 && block == 0) {
    layout.inner = x.size();
    return layout;
  }
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(raw_axis, x.rank()));
  layout.outer = Product(x.shape(), 0, axis);
  layout.dim = x.dim(axis);
  layout.inner = Product(x.shape(), axis + 1, x.rank());
  if (block == 0) {
    layout.kind = ScaleLayout::kAxis;
    if (scale.shape() != Shape{layout.dim}) return ScaleMisfit(x, scale, axis, block);
    return layout;
  }
  if (block < 0) return ModelError(StrCat("block_size ", block));
  layout.kind = ScaleLayout::kBlock;
  layout.block = block;
  layout.blocks = layout.dim == 0 ? 0 : (layout.dim - 1) / block + 1;
  Shape expected = x.shape();
  expected[axis] = layout.blocks;
  if (scale.shape() != expected) return ScaleMisfit(x, scale, axis, block);
  return layout;
}

// f(first element, end, index of their scale), in parallel over rows [outer, dim].
template <typename F>
void ForEachScale(const ScaleLayout& layout, const F& f) {
  const int64_t inner = layout.inner;
  if (layout.kind == ScaleLayout::kTensor) {
    ParallelFor(inner, kGrain, [&](int64_t begin, int64_t end) { f(begin, end, 0); });
    return;
  }
  ParallelFor(layout.outer * layout.dim, RowGrain(inner), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t index = row % layout.dim;
      if (layout.kind == ScaleLayout::kAxis) {
        f(row * inner, (row + 1) * inner, index);
        continue;
      }
      const int64_t first = (row / layout.dim * layout.blocks + index / layout.block) * inner;
      for (int64_t i = 0; i < inner; ++i) f(row * inner + i, row * inner + i + 1, first + i);
    }
  });
}

// ---- zero points

// One zero point per scale, 0 if the input is absent. kModel if its shape differs from the scale's.
Result<std::vector<int32_t>> ZeroPoints(const OpContext& context, size_t i, const Tensor& scale) {
  const Tensor* tensor = context.input(i);
  std::vector<int32_t> points(static_cast<size_t>(scale.size()), 0);
  if (tensor == nullptr) return points;
  if (tensor->size() != scale.size())
    return ModelError(StrCat("zero point of shape ", ShapeString(tensor->shape()),
                             " does not match scale ", ShapeString(scale.shape())));
  // for float8 the zero point gives only the type and must be 0
  if (IsFloating(tensor->dtype())) return points;
  ASSIGN_OR_RETURN(const std::vector<int64_t> values, IntegerInput(context, i));
  for (size_t k = 0; k < values.size(); ++k) {
    if (values[k] != static_cast<int32_t>(values[k]))
      return ModelError(StrCat("zero point ", values[k], " is out of range"));
    points[k] = static_cast<int32_t>(values[k]);
  }
  return points;
}

// The scale, input 1, as floats.
Result<Tensor> ScaleOf(const OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const Tensor& scale = *context.input(1);
  if (!IsFloating(scale.dtype()))
    return ModelError(
        StrCat("the scale is ", DTypeName(scale.dtype()), ", a floating type is needed"));
  return scale.ToFloat();
}

// ---- QuantizeLinear

Result<DType> CodeType(const OpContext& context) {
  const int64_t wanted = context.node().Int("output_dtype", 0);
  const Tensor* zero_point = context.input(2);
  const DType type = zero_point                  ? zero_point->dtype()
                     : wanted == 0               ? DType::kUint8
                     : wanted > 0 && wanted < 64 ? static_cast<DType>(wanted)
                                                 : DType::kUndefined;
  if (zero_point && wanted != 0 && static_cast<int64_t>(type) != wanted)
    return ModelError(
        StrCat("output_dtype ", wanted, " differs from the zero point's type ", DTypeName(type)));
  const bool integer = IsInteger(type) && BitWidth(type) <= 16;
  if (!integer && !(IsSmallType(type) && type != DType::kFloat8E8M0))
    return ModelError(StrCat("cannot quantize to ", DTypeName(type)));
  return type;
}

// Codes of less than a byte are returned unpacked.
template <typename T>
Tensor QuantizeTo(const Tensor& x, const ScaleLayout& layout, const float* scales,
                  const std::vector<int32_t>& points, DType type) {
  const quant::Grid grid{BitWidth(type), std::is_signed_v<T>};
  const int32_t low = grid.qmin(), high = grid.qmax();
  Tensor codes = Tensor::Empty(DTypeOf<T>::value, x.shape());
  const float* from = x.data<float>();
  T* to = codes.mutable_data<T>();
  ForEachScale(layout, [&](int64_t begin, int64_t end, int64_t p) {
    const quant::QParams params{scales[p], points[p]};
    for (int64_t i = begin; i < end; ++i)
      to[i] = static_cast<T>(quant::Quantize(from[i], params, low, high));
  });
  return IsSmallType(type) ? quant::PackCodes(codes, type) : codes;
}

// float8 and float4: the quotient, rounded to the type.
Result<Tensor> QuantizeToFloat(const Tensor& x, const ScaleLayout& layout, const float* scales,
                               DType type, bool saturate) {
  Tensor quotients = Tensor::Empty(DType::kFloat, x.shape());
  const float* from = x.data<float>();
  float* to = quotients.mutable_data<float>();
  ForEachScale(layout, [&](int64_t begin, int64_t end, int64_t p) {
    for (int64_t i = begin; i < end; ++i) to[i] = from[i] / scales[p];
  });
  CastRules rules;
  rules.saturate = saturate;
  return FromWholeBytes(quotients, type, rules);
}

Result<Tensor> QuantizeAs(DType type, const Tensor& x, const ScaleLayout& layout,
                          const float* scales, const std::vector<int32_t>& points, bool saturate) {
  switch (type) {
    case DType::kInt8:
    case DType::kInt4:
    case DType::kInt2: return QuantizeTo<int8_t>(x, layout, scales, points, type);
    case DType::kUint8:
    case DType::kUint4:
    case DType::kUint2: return QuantizeTo<uint8_t>(x, layout, scales, points, type);
    case DType::kInt16: return QuantizeTo<int16_t>(x, layout, scales, points, type);
    case DType::kUint16: return QuantizeTo<uint16_t>(x, layout, scales, points, type);
    default: return QuantizeToFloat(x, layout, scales, type, saturate);
  }
}

Status QuantizeLinear(OpContext& context) {
  ASSIGN_OR_RETURN(const Tensor scale, ScaleOf(context));
  ASSIGN_OR_RETURN(const DType type, CodeType(context));
  const DType x_type = context.input(0)->dtype();
  if (x_type != DType::kInt32 && (!IsFloating(x_type) || BitWidth(x_type) < 16))
    return UnsupportedType(x_type);
  const Tensor x = context.input(0)->ToFloat();
  ASSIGN_OR_RETURN(const ScaleLayout layout, ResolveLayout(context, x, scale));
  ASSIGN_OR_RETURN(const std::vector<int32_t> points, ZeroPoints(context, 2, scale));
  ASSIGN_OR_RETURN(Tensor codes, QuantizeAs(type, x, layout, scale.data<float>(), points,
                                            context.node().Int("saturate", 1) != 0));
  context.SetOutput(0, std::move(codes));
  return OkStatus();
}

// ---- DequantizeLinear: (x - zero point) * scale, as quant::Dequantize, without overflow for
// 32-bit codes

template <typename T>
Tensor DequantizeFrom(const Tensor& codes, const ScaleLayout& layout, const float* scales,
                      const std::vector<int32_t>& points) {
  Tensor values = Tensor::Empty(DType::kFloat, codes.shape());
  const T* from = codes.data<T>();
  float* to = values.mutable_data<float>();
  ForEachScale(layout, [&](int64_t begin, int64_t end, int64_t p) {
    const quant::QParams params{scales[p], points[p]};
    for (int64_t i = begin; i < end; ++i) {
      if constexpr (sizeof(T) <= 2 && !std::is_floating_point_v<T>)
        to[i] = quant::Dequantize(from[i], params);
      else if constexpr (std::is_integral_v<T>)
        to[i] =
            static_cast<float>(static_cast<int64_t>(from[i]) - params.zero_point) * params.scale;
      else
        to[i] = from[i] * params.scale;
    }
  });
  return values;
}

Result<Tensor> DequantizeAny(const Tensor& codes, const ScaleLayout& layout, const float* scales,
                             const std::vector<int32_t>& points) {
  switch (codes.dtype()) {
    case DType::kInt8: return DequantizeFrom<int8_t>(codes, layout, scales, points);
    case DType::kUint8: return DequantizeFrom<uint8_t>(codes, layout, scales, points);
    case DType::kInt16: return DequantizeFrom<int16_t>(codes, layout, scales, points);
    case DType::kUint16: return DequantizeFrom<uint16_t>(codes, layout, scales, points);
    case DType::kInt32: return DequantizeFrom<int32_t>(codes, layout, scales, points);
    case DType::kFloat: return DequantizeFrom<float>(codes, layout, scales, points);
    default: return UnsupportedType(codes.dtype());
  }
}

Status DequantizeLinear(OpContext& context) {
  ASSIGN_OR_RETURN(const Tensor scale, ScaleOf(context));
  const DType x_type = context.input(0)->dtype();
  if (IsFloating(x_type) && !IsSmallType(x_type)) return UnsupportedType(x_type);
  if (const Tensor* zero = context.input(2); zero && zero->dtype() != x_type)
    return ModelError(StrCat("the zero point is ", DTypeName(zero->dtype()), ", the codes are ",
                             DTypeName(x_type)));
  ASSIGN_OR_RETURN(const Tensor codes, ToWholeBytes(*context.input(0)));
  ASSIGN_OR_RETURN(const ScaleLayout layout, ResolveLayout(context, codes, scale));
  ASSIGN_OR_RETURN(const std::vector<int32_t> points, ZeroPoints(context, 2, scale));
  ASSIGN_OR_RETURN(Tensor values, DequantizeAny(codes, layout, scale.data<float>(), points));
  const int64_t wanted = context.node().Int("output_dtype", 0);
  DType type = wanted > 0 && wanted < 64 ? static_cast<DType>(wanted) : context.input(1)->dtype();
  if (type != DType::kFloat && type != DType::kFloat16 && type != DType::kBfloat16)
    return ModelError(StrCat("cannot dequantize to ", DTypeName(type)));
  context.SetOutput(0, values.FromFloatTo(type));
  return OkStatus();
}

// ---- DynamicQuantizeLinear: uint8 over the range of x, extended to contain 0

Status DynamicQuantizeLinear(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  const quant::QParams params = DynamicParams(x.data<float>(), x.size());
  const std::vector<int32_t> points = {params.zero_point};
  ScaleLayout layout;
  layout.inner = x.size();
  context.SetOutput(0, QuantizeTo<uint8_t>(x, layout, &params.scale, points, DType::kUint8));
  context.SetOutput(1, Tensor::Scalar(params.scale));
  context.SetOutput(2, Tensor::Scalar(static_cast<uint8_t>(points[0])));
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> QuantizeRows() {
  return {
      {"DequantizeLinear", "", 10, kLatest, &DequantizeLinear},
      {"DequantizeLinear", "com.microsoft", 1, kLatest, &DequantizeLinear},
      {"DynamicQuantizeLinear", "", 11, kLatest, &DynamicQuantizeLinear},
      {"QuantizeLinear", "", 10, kLatest, &QuantizeLinear},
      {"QuantizeLinear", "com.microsoft", 1, kLatest, &QuantizeLinear},
  };
}

}  // namespace roundel::engine
