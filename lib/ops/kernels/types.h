#pragma once
// Element types as C++ types, and the dispatch from a runtime DType to a template instance.

#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "lib/base/status.h"
#include "lib/base/text.h"
#include "lib/tensor/dtype.h"

namespace roundel::engine {

// Storage of 16-bit floats; arithmetic is in float, and results are rounded half to even.
struct Half {
  uint16_t bits;
  Half() = default;
  explicit Half(float value) : bits(FloatToHalf(value)) {}
  operator float() const { return HalfToFloat(bits); }
};
struct Bfloat16 {
  uint16_t bits;
  Bfloat16() = default;
  explicit Bfloat16(float value) : bits(FloatToBfloat16(value)) {}
  operator float() const { return Bfloat16ToFloat(bits); }
};

template <typename T>
inline constexpr bool kIsSmallFloat = std::is_same_v<T, Half> || std::is_same_v<T, Bfloat16>;
template <typename T>
inline constexpr bool kIsFloat = std::is_floating_point_v<T> || kIsSmallFloat<T>;

// The type in which kernels compute with values of T.
template <typename T>
using Wide = std::conditional_t<kIsSmallFloat<T>, float, T>;

// Conversion to an integer. ONNX Cast leaves values out of range undefined; here they saturate, and
// NaN becomes 0.
template <typename To, typename From>
To ConvertTo(From value) {
  if constexpr (std::is_same_v<To, bool>) {
    return static_cast<Wide<From>>(value) != Wide<From>{0};
  } else if constexpr (std::is_integral_v<To> && kIsFloat<From>) {
    const auto v = static_cast<double>(static_cast<Wide<From>>(value));
    // The limits are powers of two, exact in double; max() + 1 is.
    constexpr double kLow = static_cast<double>(std::numeric_limits<To>::min());
    constexpr double kPastHigh = 2.0 * static_cast<double>(std::numeric_limits<To>::max() / 2 + 1);
    if (v != v) return 0;
    if (v <= kLow) return std::numeric_limits<To>::min();
    if (v >= kPastHigh) return std::numeric_limits<To>::max();
    return static_cast<To>(v);
  } else if constexpr (kIsSmallFloat<To>) {
    return To(static_cast<float>(static_cast<Wide<From>>(value)));
  } else {
    return static_cast<To>(static_cast<Wide<From>>(value));
  }
}

template <typename T>
struct TypeTag {
  using Type = T;
};

inline Status UnsupportedType(DType type) {
  return ModelError(StrCat("element type ", DTypeName(type), " is not supported by this operator"));
}

// f(TypeTag<T>{}) -> Status for the C++ type of `type`.
template <typename F>
Status VisitFloat(DType type, const F& f) {
  switch (type) {
    case DType::kFloat: return f(TypeTag<float>{});
    case DType::kDouble: return f(TypeTag<double>{});
    case DType::kFloat16: return f(TypeTag<Half>{});
    case DType::kBfloat16: return f(TypeTag<Bfloat16>{});
    default: return UnsupportedType(type);
  }
}

template <typename F>
Status VisitInteger(DType type, const F& f) {
  switch (type) {
    case DType::kInt8: return f(TypeTag<int8_t>{});
    case DType::kUint8: return f(TypeTag<uint8_t>{});
    case DType::kInt16: return f(TypeTag<int16_t>{});
    case DType::kUint16: return f(TypeTag<uint16_t>{});
    case DType::kInt32: return f(TypeTag<int32_t>{});
    case DType::kUint32: return f(TypeTag<uint32_t>{});
    case DType::kInt64: return f(TypeTag<int64_t>{});
    case DType::kUint64: return f(TypeTag<uint64_t>{});
    default: return UnsupportedType(type);
  }
}

template <typename F>
Status VisitNumeric(DType type, const F& f) {
  return IsInteger(type) ? VisitInteger(type, f) : VisitFloat(type, f);
}

template <typename F>
Status VisitNumericOrBool(DType type, const F& f) {
  return type == DType::kBool ? f(TypeTag<bool>{}) : VisitNumeric(type, f);
}

// For kernels that only move elements: calls f with an unsigned integer type of the element's
// width. Requires a type that is neither packed nor a string.
template <typename F>
Status VisitBytes(DType type, const F& f) {
  switch (BitWidth(type)) {
    case 8: return f(TypeTag<uint8_t>{});
    case 16: return f(TypeTag<uint16_t>{});
    case 32: return f(TypeTag<uint32_t>{});
    case 64: return f(TypeTag<uint64_t>{});
    default: return UnsupportedType(type);
  }
}

}  // namespace roundel::engine

template <>
struct roundel::DTypeOf<roundel::engine::Half> {
  static constexpr DType value = DType::kFloat16;
};
template <>
struct roundel::DTypeOf<roundel::engine::Bfloat16> {
  static constexpr DType value = DType::kBfloat16;
};
