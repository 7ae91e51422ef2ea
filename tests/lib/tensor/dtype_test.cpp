#include "lib/tensor/dtype.h"

#include <bit>
#include <cmath>
#include <limits>

#include "lib/tensor/half.h"
#include "tests/support/catch.h"

namespace roundel {
namespace {

// IEEE 754 binary16 and bfloat16 by their definition, in double.
double Decode(uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1)
    return mantissa ? std::numeric_limits<double>::quiet_NaN()
                    : sign * std::numeric_limits<double>::infinity();
  const double fraction = std::ldexp(mantissa, -mantissa_bits);
  return sign * (exponent == 0 ? std::ldexp(fraction, 1 - bias)
                               : std::ldexp(1 + fraction, exponent - bias));
}

// All 65536 patterns, and around the middle of each pair of neighbors.
template <typename ToFloat, typename FromFloat>
void CheckFormat(const ToFloat& to_float, const FromFloat& from_float, int exponent_bits,
                 int mantissa_bits) {
  const int infinity = ((1 << exponent_bits) - 1) << mantissa_bits;
  for (int sign : {0, 0x8000})
    for (int code = 0; code <= 0x7fff; ++code) {
      const auto bits = static_cast<uint16_t>(sign | code);
      const float value = to_float(bits);
      const double expected = Decode(bits, exponent_bits, mantissa_bits);
      if (std::isnan(expected)) {
        REQUIRE(std::isnan(value));
        REQUIRE(std::isnan(to_float(from_float(value))));
        continue;
      }
      REQUIRE(static_cast<double>(value) == expected);
      REQUIRE(std::signbit(value) == (sign != 0));
      REQUIRE(from_float(value) == bits);
      if (code >= infinity) continue;
      // The next larger magnitude; past the largest number its place in the sequence, which rounds
      // to infinity from the middle on.
      const double next =
          code + 1 == infinity
              ? std::ldexp(sign ? -1.0 : 1.0, 1 << (exponent_bits - 1))
              : Decode(static_cast<uint16_t>(bits + 1), exponent_bits, mantissa_bits);
      const auto middle = static_cast<float>((expected + next) / 2);  // exact
      const float below = std::nextafter(middle, static_cast<float>(expected));
      const float above = std::nextafter(middle, static_cast<float>(next));
      REQUIRE(from_float(middle) == static_cast<uint16_t>(code % 2 == 0 ? bits : bits + 1));
      if (static_cast<double>(below) != expected) REQUIRE(from_float(below) == bits);
      REQUIRE(from_float(above) == static_cast<uint16_t>(bits + 1));
    }
}

}  // namespace

TEST_CASE("half precision, all patterns and all ties") {
  CheckFormat(HalfToFloat, FloatToHalf, 5, 10);
  CHECK(FloatToHalf(65519.99f) == 0x7bff);
  CHECK(FloatToHalf(65520.0f) == 0x7c00);
  CHECK(FloatToHalf(1e30f) == 0x7c00);
  CHECK(FloatToHalf(-1e-30f) == 0x8000);
}

TEST_CASE("bfloat16, all patterns and all ties") {
  CheckFormat(Bfloat16ToFloat, FloatToBfloat16, 8, 7);
  CHECK(FloatToBfloat16(std::numeric_limits<float>::max()) == 0x7f80);
  CHECK(std::isnan(Bfloat16ToFloat(FloatToBfloat16(std::bit_cast<float>(0x7f800001)))));
}

TEST_CASE("runs of float16 convert as single values do") {
  // Every pattern, and between neighbors their middle and what lies next to it.
  std::vector<uint16_t> halves;
  std::vector<float> floats;
  for (int pattern = 0; pattern < 0x10000; ++pattern) {
    halves.push_back(static_cast<uint16_t>(pattern));
    const float value = HalfToFloat(halves.back());
    const float next = HalfToFloat(static_cast<uint16_t>(pattern + 1));
    const float middle = value + (next - value) / 2;
    for (float f : {value, middle, std::nextafter(middle, value), std::nextafter(middle, next)})
      floats.push_back(f);
  }
  halves.push_back(0x3c01);  // not a whole group of eight
  floats.push_back(1.0001f);
  std::vector<float> doubled(halves.size());
  HalvesToFloats(halves.data(), std::ssize(halves), doubled.data());
  int64_t wrong = 0;
  for (size_t i = 0; i < halves.size(); ++i) {
    const float single = HalfToFloat(halves[i]);
    wrong += std::isnan(single)
                 ? !std::isnan(doubled[i])
                 : std::bit_cast<uint32_t>(doubled[i]) != std::bit_cast<uint32_t>(single);
  }
  CHECK(wrong == 0);
  std::vector<uint16_t> halved(floats.size());
  FloatsToHalves(floats.data(), std::ssize(floats), halved.data());
  for (size_t i = 0; i < floats.size(); ++i)
    wrong += std::isnan(floats[i]) ? !std::isnan(HalfToFloat(halved[i]))
                                   : halved[i] != FloatToHalf(floats[i]);
  CHECK(wrong == 0);
}

TEST_CASE("names, widths and kinds of the element types") {
  for (int code = 1; code <= 26; ++code) {
    const auto type = static_cast<DType>(code);
    INFO(DTypeName(type));
    CHECK(ParseDType(DTypeName(type)) == type);
    CHECK_FALSE((IsFloating(type) && IsInteger(type)));
  }
  CHECK(DTypeName(static_cast<DType>(99)) == "type99");
  CHECK(ParseDType("type99") == DType::kUndefined);
  CHECK(ParseDType("float") == DType::kFloat);
  CHECK(ParseDType("double") == DType::kDouble);
  CHECK(BitWidth(DType::kString) == 0);
  CHECK(ByteSize(DType::kInt4, 3) == 2);
  CHECK(ByteSize(DType::kUint2, 5) == 2);
  CHECK(ByteSize(DType::kInt4, 0) == 0);
  CHECK(ByteSize(DType::kComplex128, 2) == 32);
  CHECK(IsInteger(DType::kInt4));
  CHECK_FALSE(IsInteger(DType::kBool));
  CHECK(IsFloating(DType::kFloat8E8M0));
}

}  // namespace roundel
