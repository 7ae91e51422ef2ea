#include "lib/data/convert.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "lib/base/text.h"

namespace roundel::data {
namespace {

// float16 and bfloat16 have separate types, so that they differ from uint16.
struct Half {
  uint16_t bits;
};
struct Bfloat {
  uint16_t bits;
};

template <typename T>
concept Floating =
    std::is_floating_point_v<T> || std::is_same_v<T, Half> || std::is_same_v<T, Bfloat>;

double Value(Half value) { return HalfToFloat(value.bits); }
double Value(Bfloat value) { return Bfloat16ToFloat(value.bits); }
double Value(float value) { return value; }
double Value(double value) { return value; }

template <typename T>
T Rounded(double value) {
  if constexpr (std::is_same_v<T, double>) {
    return value;
  } else if constexpr (std::is_same_v<T, float>) {
    return static_cast<float>(value);
  } else if constexpr (std::is_same_v<T, Half>) {
    return {FloatToHalf(static_cast<float>(value))};
  } else {
    return {FloatToBfloat16(static_cast<float>(value))};
  }
}

Status Misfit(int64_t index, const std::string& value, DType to) {
  return DataError(
      StrCat("element ", index, " is ", value, ", which is not an exact ", DTypeName(to)));
}

template <typename From, typename To>
Status FloatsToFloats(const From* from, int64_t count, To* to, DType to_type) {
  for (int64_t i = 0; i < count; ++i) {
    const double value = Value(from[i]);
    if (std::isnan(value)) return DataError(StrCat("element ", i, " is NaN"));
    to[i] = Rounded<To>(value);
    if (std::isfinite(value) && !std::isfinite(Value(to[i])))
      return DataError(
          StrCat("element ", i, " is ", value, ", too large for ", DTypeName(to_type)));
  }
  return OkStatus();
}

template <typename From, typename To>
Status IntegersToFloats(const From* from, int64_t count, To* to, DType to_type) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = Rounded<To>(static_cast<double>(from[i]));
    const double back = Value(to[i]);
    // 2^64 itself is not a uint64, and no cast may leave the range of its type.
    const bool fits = back >= static_cast<double>(std::numeric_limits<From>::min()) &&
                      back < std::ldexp(1.0, std::numeric_limits<From>::digits);
    if (!fits || static_cast<From>(back) != from[i]) return Misfit(i, StrCat(from[i]), to_type);
  }
  return OkStatus();
}

template <typename From, typename To>
Status IntegersToIntegers(const From* from, int64_t count, To* to, DType to_type) {
  for (int64_t i = 0; i < count; ++i) {
    const bool fits =
        std::is_same_v<To, bool>
            ? from[i] == From{0} || from[i] == From{1}
            : std::in_range<std::conditional_t<std::is_same_v<To, bool>, int, To>>(+from[i]);
    if (!fits) return Misfit(i, StrCat(+from[i]), to_type);
    to[i] = static_cast<To>(from[i]);
  }
  return OkStatus();
}

template <typename From, typename To>
Status Convert(const From* from, int64_t count, To* to, DType to_type) {
  if constexpr (Floating<From> && Floating<To>) {
    return FloatsToFloats(from, count, to, to_type);
  } else if constexpr (Floating<From>) {
    INVARIANT(false, "floats to integers");
  } else if constexpr (Floating<To>) {
    if constexpr (std::is_same_v<From, bool>)
      return IntegersToFloats(reinterpret_cast<const uint8_t*>(from), count, to, to_type);
    else
      return IntegersToFloats(from, count, to, to_type);
  } else {
    return IntegersToIntegers(from, count, to, to_type);
  }
}

// Calls `with` with a value of the C++ type for `type`; false for other types.
template <typename With>
bool Dispatch(DType type, const With& with) {
  switch (type) {
    case DType::kFloat: with(float{}); return true;
    case DType::kDouble: with(double{}); return true;
    case DType::kFloat16: with(Half{}); return true;
    case DType::kBfloat16: with(Bfloat{}); return true;
    case DType::kBool: with(bool{}); return true;
    case DType::kUint8: with(uint8_t{}); return true;
    case DType::kInt8: with(int8_t{}); return true;
    case DType::kUint16: with(uint16_t{}); return true;
    case DType::kInt16: with(int16_t{}); return true;
    case DType::kUint32: with(uint32_t{}); return true;
    case DType::kInt32: with(int32_t{}); return true;
    case DType::kUint64: with(uint64_t{}); return true;
    case DType::kInt64: with(int64_t{}); return true;
    default: return false;
  }
}

}  // namespace

bool CanConvert(DType from, DType to) {
  const auto ignore = [](auto) {};
  if (!Dispatch(from, ignore) || !Dispatch(to, ignore)) return false;
  return !IsFloating(from) || IsFloating(to);
}

Status ConvertElements(DType from_type, const void* from, int64_t count, DType to_type, void* to) {
  INVARIANT(CanConvert(from_type, to_type), "types that cannot be converted");
  if (from_type == to_type && !IsFloating(from_type)) {
    if (count > 0) std::memcpy(to, from, static_cast<size_t>(ByteSize(to_type, count)));
    return OkStatus();
  }
  Status status;
  Dispatch(from_type, [&](auto from_tag) {
    Dispatch(to_type, [&](auto to_tag) {
      status = Convert(static_cast<const decltype(from_tag)*>(from), count,
                       static_cast<decltype(to_tag)*>(to), to_type);
    });
  });
  return status;
}

}  // namespace roundel::data
