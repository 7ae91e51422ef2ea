#include "lib/tensor/dtype.h"

#include <bit>
#include <cstring>

#include "lib/base/text.h"

namespace roundel {
namespace {

struct TypeRow {
  DType type;
  int bits;
  bool floating, integer;
  const char* name;
};
constexpr TypeRow kTypes[] = {
    {DType::kFloat, 32, true, false, "float32"},
    {DType::kUint8, 8, false, true, "uint8"},
    {DType::kInt8, 8, false, true, "int8"},
    {DType::kUint16, 16, false, true, "uint16"},
    {DType::kInt16, 16, false, true, "int16"},
    {DType::kInt32, 32, false, true, "int32"},
    {DType::kInt64, 64, false, true, "int64"},
    {DType::kString, 0, false, false, "string"},
    {DType::kBool, 8, false, false, "bool"},
    {DType::kFloat16, 16, true, false, "float16"},
    {DType::kDouble, 64, true, false, "float64"},
    {DType::kUint32, 32, false, true, "uint32"},
    {DType::kUint64, 64, false, true, "uint64"},
    {DType::kComplex64, 64, false, false, "complex64"},
    {DType::kComplex128, 128, false, false, "complex128"},
    {DType::kBfloat16, 16, true, false, "bfloat16"},
    {DType::kFloat8E4M3FN, 8, true, false, "float8e4m3fn"},
    {DType::kFloat8E4M3FNUZ, 8, true, false, "float8e4m3fnuz"},
    {DType::kFloat8E5M2, 8, true, false, "float8e5m2"},
    {DType::kFloat8E5M2FNUZ, 8, true, false, "float8e5m2fnuz"},
    {DType::kUint4, 4, false, true, "uint4"},
    {DType::kInt4, 4, false, true, "int4"},
    {DType::kFloat4E2M1, 4, true, false, "float4e2m1"},
    {DType::kFloat8E8M0, 8, true, false, "float8e8m0"},
    {DType::kUint2, 2, false, true, "uint2"},
    {DType::kInt2, 2, false, true, "int2"},
};

const TypeRow* Find(DType type) {
  for (const TypeRow& row : kTypes)
    if (row.type == type) return &row;
  return nullptr;
}

}  // namespace

int BitWidth(DType type) {
  const TypeRow* row = Find(type);
  return row ? row->bits : 0;
}
int64_t ByteSize(DType type, int64_t count) {
  const int bits = BitWidth(type);
  return bits >= 8 ? count * (bits / 8) : (count * bits + 7) / 8;
}
std::string DTypeName(DType type) {
  const TypeRow* row = Find(type);
  return row ? row->name : StrCat("type", static_cast<int32_t>(type));
}
DType ParseDType(std::string_view name) {
  if (name == "float") return DType::kFloat;
  if (name == "double") return DType::kDouble;
  for (const TypeRow& row : kTypes)
    if (name == row.name) return row.type;
  return DType::kUndefined;
}
bool IsFloating(DType type) {
  const TypeRow* row = Find(type);
  return row && row->floating;
}
bool IsInteger(DType type) {
  const TypeRow* row = Find(type);
  return row && row->integer;
}

float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = (half >> 10) & 0x1f, mantissa = half & 0x3ff;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000 | (mantissa << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;  // subnormal or zero
  return sign ? -magnitude : magnitude;
}

uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;   // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00;  // rounds to infinity (>= 65520)
  if (magnitude < 0x38800000) {  // subnormal half: let float addition round to multiples of 2^-24
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return sign | static_cast<uint16_t>(std::bit_cast<uint32_t>(shifted) - 0x3f000000);
  }
  const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return sign | static_cast<uint16_t>((rounded - 0x38000000) >> 13);
}

float Bfloat16ToFloat(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

uint16_t FloatToBfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

}  // namespace roundel
