#include "lib/quant/encodings.h"

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/quant/float_grid.h"

namespace roundel::quant {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements per parallel chunk

// Number of blocks of `size` in an axis of `length`; the last may be shorter. Allows any `size`.
int64_t Blocks(int64_t length, int64_t size) { return length / size + (length % size != 0); }

// Runs body(flat_begin, flat_end, params index) over maximal runs of elements that share their
// parameters, in parallel over the elements before the axis.
template <typename Body>
void ForEachRun(const Shape& shape, const Encoding& e, const Body& body) {
  const int64_t n = NumElements(shape);
  if (e.granularity == Granularity::kTensor) {
    ParallelFor(n, kGrain, [&](int64_t begin, int64_t end) { body(begin, end, 0); });
    return;
  }
  int64_t inner = 1, outer = 1;
  for (size_t i = 0; i < shape.size(); ++i)
    (static_cast<int64_t>(i) < e.axis ? outer : inner) *= shape[i];
  const int64_t length = shape[e.axis];
  inner = length == 0 ? 0 : inner / length;
  const bool blocked = e.granularity == Granularity::kBlock;
  const int64_t blocks = blocked ? Blocks(length, e.block_size) : length;
  ParallelFor(outer * length, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, inner)),
              [&](int64_t begin, int64_t end) {
                for (int64_t row = begin; row < end; ++row) {
                  const int64_t o = row / length, c = row % length;
                  if (!blocked) {
                    body(row * inner, (row + 1) * inner, c);
                    continue;
                  }
                  const int64_t first = (o * blocks + c / e.block_size) * inner;
                  for (int64_t i = 0; i < inner; ++i)
                    body(row * inner + i, row * inner + i + 1, first + i);
                }
              });
}

DType UnpackedType(const Grid& grid) {
  switch (grid.storage_type()) {
    case DType::kInt2:
    case DType::kInt4: return DType::kInt8;
    case DType::kUint2:
    case DType::kUint4:
    case DType::kFloat4E2M1: return DType::kUint8;
    default: return grid.storage_type();
  }
}

// Calls f with a typed pointer to the codes of an unpacked integer tensor.
template <typename F>
void VisitCodes(DType type, const void* data, const F& f) {
  switch (type) {
    case DType::kInt8: f(static_cast<const int8_t*>(data)); break;
    case DType::kUint8: f(static_cast<const uint8_t*>(data)); break;
    case DType::kInt16: f(static_cast<const int16_t*>(data)); break;
    case DType::kUint16: f(static_cast<const uint16_t*>(data)); break;
    case DType::kInt32: f(static_cast<const int32_t*>(data)); break;
    default: INVARIANT(false, "codes of type " + DTypeName(type));
  }
}

Tensor QuantizeToFloats(const Tensor& value, const Encoding& e) {
  const float* x = value.data<float>();
  Tensor codes = Tensor::Empty(UnpackedType(e.grid), value.shape());
  auto* out = static_cast<char*>(codes.mutable_raw());
  const int64_t bytes = BitWidth(codes.dtype()) / 8;
  ForEachRun(value.shape(), e, [&](int64_t begin, int64_t end, int64_t index) {
    EncodeFloats(x + begin, end - begin, e.params[index].scale, e.grid.kind, out + begin * bytes);
  });
  return codes;
}

Tensor DequantizeFloats(const Tensor& codes, const Encoding& e) {
  Tensor out = DecodeFloats(codes, e.grid.kind);
  float* to = out.mutable_data<float>();
  if (!e.grid.has_scale()) return out;
  ForEachRun(codes.shape(), e, [&](int64_t begin, int64_t end, int64_t index) {
    for (int64_t i = begin; i < end; ++i) to[i] *= e.params[index].scale;
  });
  return out;
}

}  // namespace

int64_t Encoding::ParamIndex(const Shape& shape, int64_t flat) const {
  if (granularity == Granularity::kTensor) return 0;
  int64_t inner = 1;
  for (size_t i = static_cast<size_t>(axis) + 1; i < shape.size(); ++i) inner *= shape[i];
  const int64_t c = flat / inner % shape[axis];
  if (granularity == Granularity::kChannel) return c;
  const int64_t blocks = Blocks(shape[axis], block_size);
  return (flat / inner / shape[axis] * blocks + c / block_size) * inner + flat % inner;
}

Shape ScaleShape(const Encoding& e, const Shape& value_shape) {
  if (e.granularity == Granularity::kTensor) return {};
  if (e.granularity == Granularity::kChannel) return {value_shape[e.axis]};
  Shape shape = value_shape;
  shape[e.axis] = Blocks(shape[e.axis], e.block_size);
  return shape;
}

Status CheckEncoding(const Encoding& e, const Shape& shape) {
  if (e.granularity != Granularity::kTensor &&
      (e.axis < 0 || e.axis >= static_cast<int64_t>(shape.size())))
    return ModelError(StrCat("axis ", e.axis, " does not exist in shape ", ShapeString(shape)));
  if (e.granularity == Granularity::kBlock && e.block_size <= 0)
    return ModelError(StrCat("block size ", e.block_size, " is not positive"));
  const int64_t expected = NumElements(ScaleShape(e, shape));
  if (static_cast<int64_t>(e.params.size()) != expected)
    return ModelError(StrCat(e.params.size(), " scales for shape ", ShapeString(shape), " where ",
                             expected, " are needed"));
  return OkStatus();
}

Tensor QuantizeTensor(const Tensor& value, const Encoding& e) {
  if (e.grid.is_float()) return QuantizeToFloats(value, e);
  const bool binary = e.grid.kind == GridKind::kBinary;
  const float* x = value.data<float>();
  Tensor codes = Tensor::Empty(UnpackedType(e.grid), value.shape());
  const int32_t qmin = e.grid.qmin(), qmax = e.grid.qmax();
  VisitCodes(codes.dtype(), codes.mutable_raw(), [&](const auto* typed) {
    using Code = std::remove_cv_t<std::remove_pointer_t<decltype(typed)>>;
    auto* out = const_cast<Code*>(typed);
    ForEachRun(value.shape(), e, [&](int64_t begin, int64_t end, int64_t index) {
      const QParams p = e.params[index];
      constexpr int64_t kShort = 8;  // not worth a call
      if constexpr (sizeof(Code) <= 2)
        if (!binary && end - begin > kShort)
          return QuantizeRun(x + begin, out + begin, end - begin, p, qmin, qmax);
      for (int64_t i = begin; i < end; ++i)
        out[i] = static_cast<Code>(binary ? SignCode(x[i]) : Quantize(x[i], p, qmin, qmax));
    });
  });
  return codes;
}

Tensor CodesTensor(const std::vector<int64_t>& codes, const Grid& grid, const Shape& shape) {
  Tensor tensor = Tensor::Empty(UnpackedType(grid), shape);
  VisitCodes(tensor.dtype(), tensor.mutable_raw(), [&](const auto* typed) {
    using Code = std::remove_cv_t<std::remove_pointer_t<decltype(typed)>>;
    std::transform(codes.begin(), codes.end(), const_cast<Code*>(typed),
                   [](int64_t code) { return static_cast<Code>(code); });
  });
  return tensor;
}

Tensor DequantizeTensor(const Tensor& codes, const Encoding& e) {
  if (e.grid.is_float()) return DequantizeFloats(codes, e);
  Tensor out = Tensor::Empty(DType::kFloat, codes.shape());
  float* to = out.mutable_data<float>();
  VisitCodes(codes.dtype(), codes.raw(), [&](const auto* q) {
    ForEachRun(codes.shape(), e, [&](int64_t begin, int64_t end, int64_t index) {
      const QParams p = e.params[index];
      for (int64_t i = begin; i < end; ++i) to[i] = Dequantize(q[i], p);
    });
  });
  return out;
}

Tensor FakeQuantizeTensor(const Tensor& value, const Encoding& e) {
  return DequantizeTensor(e.codes ? *e.codes : QuantizeTensor(value, e), e);
}

Tensor PackCodes(const Tensor& codes, DType storage_type) {
  const int bits = BitWidth(storage_type);
  if (bits >= 8) {
    INVARIANT(codes.dtype() == storage_type, "codes of another type");
    return codes;
  }
  Tensor packed = Tensor::Zeros(storage_type, codes.shape());
  auto* out = static_cast<uint8_t*>(packed.mutable_raw());
  const auto* in = static_cast<const uint8_t*>(codes.raw());  // int8 and uint8 share their low bits
  const int per_byte = 8 / bits, mask = (1 << bits) - 1;
  for (int64_t i = 0, n = codes.size(); i < n; ++i)
    out[i / per_byte] =
        static_cast<uint8_t>(out[i / per_byte] | (in[i] & mask) << (i % per_byte * bits));
  return packed;
}

namespace {

// float4e2m1: one code per byte.
Tensor UnpackNibbles(const Tensor& packed) {
  Tensor codes = Tensor::Empty(DType::kUint8, packed.shape());
  const auto* from = static_cast<const uint8_t*>(packed.raw());
  auto* to = codes.mutable_data<uint8_t>();
  for (int64_t i = 0; i < codes.size(); ++i)
    to[i] = static_cast<uint8_t>(from[i / 2] >> (i % 2 * 4) & 0xf);
  return codes;
}

}  // namespace

Tensor UnpackCodes(const Tensor& packed) {
  if (BitWidth(packed.dtype()) >= 8) return packed;
  if (IsFloating(packed.dtype())) return UnpackNibbles(packed);
  const std::vector<int64_t> values = packed.ToInt64s();
  const bool is_signed = packed.dtype() == DType::kInt4 || packed.dtype() == DType::kInt2;
  Tensor codes = Tensor::Empty(is_signed ? DType::kInt8 : DType::kUint8, packed.shape());
  auto* out = static_cast<uint8_t*>(codes.mutable_raw());
  for (size_t i = 0; i < values.size(); ++i) out[i] = static_cast<uint8_t>(values[i]);
  return codes;
}

}  // namespace roundel::quant
