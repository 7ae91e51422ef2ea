// QuantizeLinear and DequantizeLinear beyond opset 17, by hand and by the specification's formula.
#include <algorithm>
#include <cmath>

#include "lib/base/random.h"
#include "lib/quant/encodings.h"
#include "tests/lib/engine/run_op.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

Tensor Floats(const Shape& shape, const std::vector<float>& values) {
  return Tensor::FromVector(shape, values);
}

// Codes of any integer type, packed where the type is.
Tensor Codes(DType type, const Shape& shape, const std::vector<int64_t>& values) {
  const int bits = BitWidth(type);
  Tensor tensor = Tensor::Zeros(type, shape);
  auto* bytes = static_cast<uint8_t*>(tensor.mutable_raw());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto code = static_cast<uint64_t>(values[i]);
    if (bits >= 8) {
      for (int b = 0; b < bits / 8; ++b)
        bytes[i * static_cast<size_t>(bits / 8) + static_cast<size_t>(b)] =
            static_cast<uint8_t>(code >> (8 * b));
    } else {
      const size_t per_byte = static_cast<size_t>(8 / bits);
      bytes[i / per_byte] |= static_cast<uint8_t>((code & ((1u << bits) - 1))
                                                  << (i % per_byte * static_cast<size_t>(bits)));
    }
  }
  return tensor;
}

Tensor Run(const OpCall& call) {
  auto result = RunOp(call);
  INFO(result.status().message());
  REQUIRE(result.ok());
  REQUIRE(result->at(0).defined());
  return result->at(0);
}

std::string Error(const OpCall& call) {
  const auto result = RunOp(call);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().kind() == ErrorKind::kModel);
  return result.status().message();
}

TEST_CASE("QuantizeLinear rounds half to even and saturates, for every integer type") {
  struct Row {
    DType type;
    int64_t low, high;
  };
  const Row rows[] = {{DType::kInt2, -2, 1},          {DType::kUint2, 0, 3},
                      {DType::kInt4, -8, 7},          {DType::kUint4, 0, 15},
                      {DType::kInt8, -128, 127},      {DType::kUint8, 0, 255},
                      {DType::kInt16, -32768, 32767}, {DType::kUint16, 0, 65535}};
  for (const Row& row : rows) {
    INFO(DTypeName(row.type));
    // scale 2: 1 -> 0.5, 3 -> 1.5, 5 -> 2.5, -1 -> -0.5, -3 -> -1.5
    const Tensor y = Run(
        {"QuantizeLinear",
         25,
         {Floats({7}, {1, 3, 5, -1, -3, 1e9f, -1e9f}), Floats({}, {2}), Codes(row.type, {}, {0})}});
    CHECK(y.dtype() == row.type);
    const auto clamp = [&](int64_t q) { return std::min(std::max(q, row.low), row.high); };
    CHECK(y.ToInt64s() == std::vector<int64_t>{clamp(0), clamp(2), clamp(2), clamp(0), clamp(-2),
                                               row.high, row.low});
  }
}

TEST_CASE("QuantizeLinear takes its type from output_dtype, or is uint8") {
  const Tensor x = Floats({3}, {-1, 1, 300}), scale = Floats({}, {1});
  const int64_t int4 = static_cast<int64_t>(DType::kInt4);
  CHECK(Run({"QuantizeLinear", 21, {x, scale}, {{"output_dtype", int4}}}) ==
        Codes(DType::kInt4, {3}, {-1, 1, 7}));
  CHECK(Run({"QuantizeLinear", 13, {x, scale}}) == Codes(DType::kUint8, {3}, {0, 1, 255}));
  CHECK_THAT(Error({"QuantizeLinear",
                    21,
                    {x, scale, Codes(DType::kInt8, {}, {0})},
                    {{"output_dtype", int4}}}),
             Catch::Contains("output_dtype"));
}

// q = saturate(round_half_even(x / scale) + zero_point), scale of the block along `axis` of 3.
int64_t BlockedCode(double x, double scale, int64_t zero, int64_t low, int64_t high) {
  return std::min(std::max(static_cast<int64_t>(std::nearbyint(x / scale)) + zero, low), high);
}

TEST_CASE("blocked quantization and dequantization follow the formula, the last block shorter") {
  Random random(7);
  const Shape shape = {2, 5, 3};  // axis 1 in blocks of 2: 3 blocks
  std::vector<float> x(30), scale(18);
  std::vector<int64_t> zero(18), expected;
  for (float& v : x) v = static_cast<float>(random.Normal() * 4);
  for (float& v : scale) v = static_cast<float>(0.25 + random.Uniform());
  for (int64_t& v : zero) v = static_cast<int64_t>(random.Below(16)) - 8;
  std::vector<float> restored;
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t c = 0; c < 5; ++c)
      for (int64_t i = 0; i < 3; ++i) {
        const size_t p = static_cast<size_t>((n * 3 + c / 2) * 3 + i);
        const float v = x[static_cast<size_t>((n * 5 + c) * 3 + i)];
        expected.push_back(BlockedCode(v / scale[p], 1, zero[p], -8, 7));
        restored.push_back(static_cast<float>(expected.back() - zero[p]) * scale[p]);
      }
  const std::vector<std::pair<std::string, graph::Attribute::Value>> blocks = {
      {"axis", int64_t{1}}, {"block_size", int64_t{2}}};
  const Tensor scales = Floats({2, 3, 3}, scale), zeros = Codes(DType::kInt4, {2, 3, 3}, zero);
  for (const std::string domain : {"", "com.microsoft"}) {
    const int64_t opset = domain.empty() ? 21 : 1;
    const Tensor q =
        Run({"QuantizeLinear", opset, {Floats(shape, x), scales, zeros}, blocks, 1, domain});
    CHECK(q.dtype() == DType::kInt4);
    CHECK(q.ToInt64s() == expected);
    CHECK(Run({"DequantizeLinear", opset, {q, scales, zeros}, blocks, 1, domain}) ==
          Floats(shape, restored));
  }
}

TEST_CASE("DequantizeLinear per axis, of 32-bit codes, and of packed codes") {
  const std::vector<std::pair<std::string, graph::Attribute::Value>> axis0 = {{"axis", int64_t{0}}};
  CHECK(Run({"DequantizeLinear",
             13,
             {Codes(DType::kInt32, {2, 2}, {100, -100, 2147483647, -2147483647}),
              Floats({2}, {0.5f, 2})},
             axis0}) == Floats({2, 2}, {50, -50, 4294967294.f, -4294967294.f}));
  CHECK(Run({"DequantizeLinear",
             21,
             {Codes(DType::kUint4, {3}, {0, 8, 15}), Floats({}, {0.5f}),
              Codes(DType::kUint4, {}, {8})}}) == Floats({3}, {-4, 0, 3.5f}));
  CHECK(Run({"DequantizeLinear",
             25,
             {Codes(DType::kInt2, {5}, {-2, -1, 0, 1, -2}), Floats({}, {3})}}) ==
        Floats({5}, {-6, -3, 0, 3, -6}));
}

TEST_CASE("a float16 scale gives float16 results") {
  const Tensor scale = Floats({}, {0.1f}).FromFloatTo(DType::kFloat16);
  const Tensor y = Run({"DequantizeLinear", 19, {Codes(DType::kInt8, {2}, {3, -7}), scale}});
  REQUIRE(y.dtype() == DType::kFloat16);
  const float s = scale.ToFloat().data<float>()[0];
  CHECK(y == Floats({2}, {3 * s, -7 * s}).FromFloatTo(DType::kFloat16));
  const Tensor x = Floats({3}, {0.25f, 1, -1}).FromFloatTo(DType::kBfloat16);
  CHECK(Run({"QuantizeLinear",
             19,
             {x, Floats({}, {0.5f}).FromFloatTo(DType::kBfloat16),
              Codes(DType::kInt8, {}, {0})}}) == Codes(DType::kInt8, {3}, {0, 2, -2}));
}

TEST_CASE("float8 and float4 codes are those of the OCP formats") {
  const auto cast = [](const std::vector<float>& values, DType type, bool saturate = true) {
    const Tensor y = Run({"Cast",
                          25,
                          {Floats({static_cast<int64_t>(values.size())}, values)},
                          {{"to", static_cast<int64_t>(type)}, {"saturate", int64_t{saturate}}}});
    const auto* bytes = static_cast<const uint8_t*>(y.raw());
    return std::vector<int>(bytes, bytes + y.byte_size());
  };
  using V = std::vector<int>;
  CHECK(cast({0, -0.f, 1, -2, 448, 500, -1e9f, NAN, 0x1p-9f, 0x1p-11f}, DType::kFloat8E4M3FN) ==
        V{0, 0x80, 0x38, 0xc0, 0x7e, 0x7e, 0xfe, 0x7f, 1, 0});
  CHECK(cast({448, 464, 465, INFINITY}, DType::kFloat8E4M3FN, false) == V{0x7e, 0x7e, 0x7f, 0x7f});
  CHECK(cast({0, -0.f, 1, 240, 1000, NAN}, DType::kFloat8E4M3FNUZ) ==
        V{0, 0, 0x40, 0x7f, 0x7f, 0x80});
  CHECK(cast({1, -1, 57344, 1e9f, NAN}, DType::kFloat8E5M2) == V{0x3c, 0xbc, 0x7b, 0x7b, 0x7f});
  CHECK(cast({1e9f, -INFINITY}, DType::kFloat8E5M2, false) == V{0x7c, 0xfc});
  CHECK(cast({1, 57344}, DType::kFloat8E5M2FNUZ) == V{0x40, 0x7f});
  // Ties go to the even code: 2.5 to 2 (code 4), 5 to 4 (code 6), 0.25 to 0.
  CHECK(cast({2.5f, 5, 0.25f, 0.75f, 6, 100, -1.5f, 3}, DType::kFloat4E2M1) ==
        V{4 | 6 << 4, 0 | 2 << 4, 7 | 7 << 4, 0xb | 5 << 4});
  CHECK(Run({"QuantizeLinear",
             19,
             {Floats({2}, {2, -1000}), Floats({}, {2}), Codes(DType::kFloat8E4M3FN, {}, {0})}}) ==
        Codes(DType::kFloat8E4M3FN, {2}, {0x38, 0xfe}));
  CHECK(Run({"DequantizeLinear",
             19,
             {Codes(DType::kFloat8E5M2, {2}, {0x3c, 0xc0}), Floats({}, {3})}}) ==
        Floats({2}, {3, -6}));
}

TEST_CASE("casting a float8 value and back changes nothing, for every code") {
  for (const DType type :
       {DType::kFloat8E4M3FN, DType::kFloat8E4M3FNUZ, DType::kFloat8E5M2, DType::kFloat8E5M2FNUZ}) {
    std::vector<int64_t> codes(256);
    for (int64_t i = 0; i < 256; ++i) codes[static_cast<size_t>(i)] = i;
    const Tensor all = Codes(type, {256}, codes);
    const Tensor values = Run({"Cast", 19, {all}, {{"to", int64_t{1}}}});
    const Tensor back =
        Run({"Cast", 19, {values}, {{"to", static_cast<int64_t>(type)}, {"saturate", int64_t{0}}}});
    for (int64_t i = 0; i < 256; ++i)
      if (!std::isnan(values.data<float>()[i])) {
        INFO(DTypeName(type) << " " << i);
        CHECK(static_cast<const uint8_t*>(back.raw())[i] == i);
      }
  }
}

TEST_CASE("scales and zero points that do not fit are model errors") {
  const Tensor x = Floats({2, 4}, std::vector<float>(8, 1)), zero = Codes(DType::kInt8, {}, {0});
  CHECK_THAT(Error({"QuantizeLinear", 13, {x, Floats({3}, {1, 1, 1})}}),
             Catch::Contains("scale of shape [3]") && Catch::Contains("[2, 4]"));
  CHECK_THAT(Error({"QuantizeLinear", 13, {x, Floats({4}, {1, 1, 1, 1}), zero}}),
             Catch::Contains("zero point"));
  CHECK_THAT(Error({"QuantizeLinear", 13, {x, Floats({2}, {1, 1})}, {{"axis", int64_t{5}}}}),
             Catch::Contains("axis 5"));
  CHECK_THAT(Error({"DequantizeLinear",
                    21,
                    {Codes(DType::kInt8, {2, 4}, {}), Floats({2, 4}, std::vector<float>(8, 1))},
                    {{"block_size", int64_t{3}}}}),
             Catch::Contains("block_size 3"));
  CHECK_THAT(Error({"DequantizeLinear", 13, {x, Floats({}, {1})}}), Catch::Contains("float32"));
  CHECK_THAT(Error({"QuantizeLinear", 13, {x, zero}}), Catch::Contains("scale is int8"));
}

TEST_CASE("integer products subtract their zero points, per row and per column") {
  const Tensor a = Codes(DType::kUint8, {2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor b = Codes(DType::kInt8, {3, 2}, {1, -1, 2, -2, 3, -3});
  // a - [1, 4]: {0 1 2 | 0 1 2}; b - [1, -1]: {0 0 | 1 -1 | 2 -2}
  CHECK(Run({"MatMulInteger",
             10,
             {a, b, Codes(DType::kUint8, {2}, {1, 4}), Codes(DType::kInt8, {2}, {1, -1})}}) ==
        Tensor::FromVector<int32_t>({2, 2}, {5, -5, 5, -5}));
}

}  // namespace
}  // namespace roundel::engine
