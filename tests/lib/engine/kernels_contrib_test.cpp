// Operators and settings that ONNX Runtime's CPU build does not run, against the specifications'
// formulas as plain loops. The others are compared with it in tests/e2e/ops_test.cpp.

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/lib/engine/run_op.h"
#include "tests/support/catch.h"
#include "tests/support/vector_source.h"

namespace roundel::engine {
namespace {

using support::RandomTensor;

constexpr const char* kContrib = "com.microsoft";

std::vector<Tensor> Run(const OpCall& call) {
  auto results = RunOp(call);
  INFO(call.op_type << ": " << (results.ok() ? "" : results.status().message()));
  REQUIRE(results.ok());
  return std::move(results).value();
}

void CheckClose(const Tensor& actual, const std::vector<double>& expected, double tolerance) {
  REQUIRE(actual.size() == static_cast<int64_t>(expected.size()));
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    worst = std::max(worst, std::fabs(actual.data<float>()[i] - expected[i]));
  CHECK(worst <= tolerance);
}

void CheckSame(const Tensor& a, const Tensor& b, double tolerance = 1e-6) {
  REQUIRE(a.shape() == b.shape());
  const auto values = b.span<float>();
  CheckClose(a, std::vector<double>(values.begin(), values.end()), tolerance);
}

// ---- attention

struct Sizes {
  int64_t batch, heads, kv_heads, rows, keys, width, v_width;
};

// y [batch, heads, rows, v_width] where sees(b, i, j) says which keys count.
template <typename Sees>
std::vector<double> AttentionByLoops(const Sizes& s, const Tensor& q, const Tensor& k,
                                     const Tensor& v, const Sees& sees) {
  std::vector<double> y;
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t i = 0; i < s.rows; ++i) {
        const int64_t shared = b * s.kv_heads + h / (s.heads / s.kv_heads);
        std::vector<double> weights(static_cast<size_t>(s.keys), 0.0);
        double total = 0;
        for (int64_t j = 0; j < s.keys; ++j) {
          double dot = 0;
          for (int64_t c = 0; c < s.width; ++c)
            dot += static_cast<double>(
                       q.data<float>()[((b * s.heads + h) * s.rows + i) * s.width + c]) *
                   k.data<float>()[(shared * s.keys + j) * s.width + c];
          if (sees(b, i, j)) weights[j] = std::exp(dot / std::sqrt(static_cast<double>(s.width)));
          total += weights[j];
        }
        for (int64_t c = 0; c < s.v_width; ++c) {
          double sum = 0;
          for (int64_t j = 0; j < s.keys; ++j)
            sum += weights[j] * v.data<float>()[(shared * s.keys + j) * s.v_width + c];
          y.push_back(total == 0 ? 0 : sum / total);
        }
      }
  return y;
}

TEST_CASE("Attention's windows count from the position behind the past", "[kernels]") {
  const Sizes s{2, 4, 2, 5, 8, 6, 3};
  const int64_t past = 3;
  Random random(1);
  const Tensor q = RandomTensor({2, 4, 5, 6}, random);
  const Tensor k = RandomTensor({2, 2, 8, 6}, random), v = RandomTensor({2, 2, 8, 3}, random);
  const auto part = [](const Tensor& x, int64_t begin, int64_t end) {
    const Tensor from = Tensor::FromVector<int64_t>({1}, {begin});
    const Tensor to = Tensor::FromVector<int64_t>({1}, {end});
    return Run({"Slice", 13, {x, from, to, Tensor::FromVector<int64_t>({1}, {2})}})[0];
  };
  for (const auto& [left, right, causal] : std::vector<std::tuple<int64_t, int64_t, bool>>{
           {2, -1, true}, {1, 2, false}, {-1, 1, false}, {0, 0, false}, {-1, -1, true}}) {
    const auto results = Run(
        {"Attention",
         25,
         {q, part(k, past, 8), part(v, past, 8), Tensor(), part(k, 0, past), part(v, 0, past)},
         {{"left_window_size", left}, {"right_window_size", right}, {"is_causal", int64_t{causal}}},
         3});
    const auto sees = [=, l = left, r = right, c = causal](int64_t, int64_t i, int64_t j) {
      const int64_t at = past + i;
      return (l < 0 || j >= at - l) && (r < 0 || j <= at + r) && (!c || j <= at);
    };
    CheckClose(results[0], AttentionByLoops(s, q, k, v, sees), 1e-5);
    CheckSame(results[1], k, 0);
    CheckSame(results[2], v, 0);
  }
}

TEST_CASE("a query that sees no key gives zeros", "[kernels]") {
  const Sizes s{2, 2, 2, 4, 5, 4, 4};
  Random random(2);
  const Tensor q = RandomTensor({2, 2, 4, 4}, random);
  const Tensor k = RandomTensor({2, 2, 5, 4}, random), v = RandomTensor({2, 2, 5, 4}, random);
  Tensor mask = Tensor::Zeros(DType::kBool, {2, 1, 4, 5});
  for (int64_t i = 0; i < mask.size(); ++i)
    mask.mutable_data<bool>()[i] = i / 5 % 4 != 2 && random.Below(3) != 0;
  const auto results =
      Run({"Attention", 24, {q, k, v, mask}, {{"qk_matmul_output_mode", int64_t{3}}}, 4});
  const auto sees = [&](int64_t b, int64_t i, int64_t j) {
    return mask.data<bool>()[(b * 4 + i) * 5 + j];
  };
  CheckClose(results[0], AttentionByLoops(s, q, k, v, sees), 1e-5);
  for (int64_t j = 0; j < 5; ++j) CHECK(results[3].data<float>()[2 * 5 + j] == 0);
}

TEST_CASE("a mask shorter than the keys leaves the others out", "[kernels]") {
  const Sizes s{2, 2, 2, 3, 6, 4, 4};
  Random random(3);
  const Tensor q = RandomTensor({2, 2, 3, 4}, random);
  const Tensor k = RandomTensor({2, 2, 6, 4}, random), v = RandomTensor({2, 2, 6, 4}, random);
  const Tensor lengths = Tensor::FromVector<int64_t>({2}, {4, 2});
  const auto results =
      Run({"Attention",
           24,
           {q, k, v, Tensor::Zeros(DType::kFloat, {3, 4}), Tensor(), Tensor(), lengths}});
  const auto sees = [](int64_t b, int64_t, int64_t j) { return j < (b == 0 ? 4 : 2); };
  CheckClose(results[0], AttentionByLoops(s, q, k, v, sees), 1e-5);
}

TEST_CASE("packed queries, keys and values are the same as separate ones", "[kernels]") {
  Random random(4);
  const Tensor packed = RandomTensor({2, 5, 3, 3, 4}, random);  // batch, length, heads, part, width
  std::vector<Tensor> parts;
  for (int64_t part = 0; part < 3; ++part) {
    const Tensor at = Tensor::FromVector<int64_t>({1}, {part});
    const Tensor one = Run({"Gather", 13, {packed, at}, {{"axis", int64_t{3}}}})[0];
    parts.push_back(one.Reshaped({2, 5, 12}));
  }
  Tensor keys_and_values = Tensor::Empty(DType::kFloat, {2, 5, 3, 2, 4});
  for (int64_t i = 0; i < keys_and_values.size(); ++i)
    keys_and_values.mutable_data<float>()[i] = packed.data<float>()[i / 8 * 12 + 4 + i % 8];
  const auto call = [](std::vector<Tensor> inputs) {
    return Run(
        {"MultiHeadAttention", 1, std::move(inputs), {{"num_heads", int64_t{3}}}, 1, kContrib})[0];
  };
  const Tensor separate = call(parts);
  CheckSame(call({packed}), separate);
  CheckSame(call({parts[0], keys_and_values}), separate);
}

// ---- convolutions and normalizations

// y [N, M, h, w] of x [N, C, H, W] and w [M, C, kh, kw], stride 1, without padding.
std::vector<double> ConvByLoops(const Tensor& x, const Tensor& w) {
  const int64_t oh = x.dim(2) - w.dim(2) + 1, ow = x.dim(3) - w.dim(3) + 1;
  std::vector<double> y;
  for (int64_t n = 0; n < x.dim(0); ++n)
    for (int64_t m = 0; m < w.dim(0); ++m)
      for (int64_t i = 0; i < oh; ++i)
        for (int64_t j = 0; j < ow; ++j) {
          double sum = 0;
          for (int64_t c = 0; c < x.dim(1); ++c)
            for (int64_t a = 0; a < w.dim(2); ++a)
              for (int64_t b = 0; b < w.dim(3); ++b)
                sum += static_cast<double>(
                           x.data<float>()[((n * x.dim(1) + c) * x.dim(2) + i + a) * x.dim(3) + j +
                                           b]) *
                       w.data<float>()[((m * w.dim(1) + c) * w.dim(2) + a) * w.dim(3) + b];
          y.push_back(sum);
        }
  return y;
}

TEST_CASE("NhwcFusedConv has its channels last and its activation behind", "[kernels]") {
  Random random(5);
  const Tensor x = RandomTensor({2, 3, 5, 6}, random), w = RandomTensor({4, 3, 2, 3}, random);
  const auto permuted = [](const Tensor& t, std::vector<int64_t> perm) {
    return Run({"Transpose", 13, {t}, {{"perm", std::move(perm)}}})[0];
  };
  const Tensor y = Run(
      {"NhwcFusedConv",
       1,
       {permuted(x, {0, 2, 3, 1}), w},
       {{"activation", std::string("LeakyRelu")}, {"activation_params", std::vector<float>{0.25f}}},
       1,
       kContrib})[0];
  std::vector<double> expected = ConvByLoops(x, w);
  for (double& value : expected)
    if (value < 0) value *= 0.25;
  CheckClose(permuted(y, {0, 3, 1, 2}), expected, 1e-5);
}

TEST_CASE("DeformConv without offsets is Conv, also in three dimensions", "[kernels]") {
  Random random(6);
  const Tensor x = RandomTensor({2, 4, 5, 6, 4}, random), w = RandomTensor({6, 2, 2, 3, 2}, random);
  const std::vector<std::pair<std::string, graph::Attribute::Value>> attributes = {
      {"group", int64_t{2}}, {"pads", std::vector<int64_t>{1, 1, 0, 1, 0, 1}}};
  const Tensor conv = Run({"Conv", 22, {x, w}, attributes})[0];
  const Tensor offsets =
      Tensor::Zeros(DType::kFloat, {2, 12 * 3, conv.dim(2), conv.dim(3), conv.dim(4)});
  CheckSame(Run({"DeformConv", 22, {x, w, offsets}, attributes})[0], conv, 1e-5);
}

TEST_CASE("GroupNorm normalizes groups of channels that come last", "[kernels]") {
  Random random(7);
  const Tensor x = RandomTensor({2, 3, 2, 6}, random);
  const Tensor gamma = RandomTensor({6}, random), beta = RandomTensor({6}, random);
  const Tensor y = Run({"GroupNorm",
                        1,
                        {x, gamma, beta},
                        {{"groups", int64_t{3}}, {"activation", int64_t{1}}, {"epsilon", 1e-3f}},
                        1,
                        kContrib})[0];
  std::vector<double> expected(static_cast<size_t>(x.size()));
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t group = 0; group < 3; ++group) {
      double mean = 0, squares = 0;
      for (int64_t p = 0; p < 6; ++p)
        for (int64_t c = 2 * group; c < 2 * group + 2; ++c) {
          const double value = x.data<float>()[(n * 6 + p) * 6 + c];
          mean += value / 12;
          squares += value * value / 12;
        }
      for (int64_t p = 0; p < 6; ++p)
        for (int64_t c = 2 * group; c < 2 * group + 2; ++c) {
          const int64_t i = (n * 6 + p) * 6 + c;
          const double normal =
              (x.data<float>()[i] - mean) / std::sqrt(squares - mean * mean + 1e-3);
          const double value = normal * gamma.data<float>()[c] + beta.data<float>()[c];
          expected[i] = value / (1 + std::exp(-value));
        }
    }
  CheckClose(y, expected, 1e-5);
}

TEST_CASE("BiasSplitGelu gates one half by the other", "[kernels]") {
  Random random(8);
  const Tensor x = RandomTensor({2, 3, 8}, random), bias = RandomTensor({8}, random);
  const Tensor y = Run({"BiasSplitGelu", 1, {x, bias}, {}, 1, kContrib})[0];
  std::vector<double> expected;
  for (int64_t row = 0; row < 6; ++row)
    for (int64_t c = 0; c < 4; ++c) {
      const double left = x.data<float>()[row * 8 + c] + bias.data<float>()[c];
      const double right = x.data<float>()[row * 8 + 4 + c] + bias.data<float>()[4 + c];
      expected.push_back(left * right * 0.5 * (1 + std::erf(right / std::sqrt(2.0))));
    }
  CheckClose(y, expected, 1e-5);
}

// ---- codes

TEST_CASE("MatMulNBits takes scale and zero point of the block that g_idx names", "[kernels]") {
  Random random(9);
  const int64_t rows = 3, k = 32, n = 2;
  const Tensor a = RandomTensor({rows, k}, random), scales = RandomTensor({n * 2}, random);
  Tensor codes = Tensor::Empty(DType::kUint8, {n, 2, 8});
  for (int64_t i = 0; i < codes.size(); ++i)
    codes.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(random.Below(256));
  const Tensor zeros = Tensor::FromVector<uint8_t>({n}, {0x3a, 0xc5});
  Tensor groups = Tensor::Empty(DType::kInt32, {k});
  for (int64_t i = 0; i < k; ++i)
    groups.mutable_data<int32_t>()[i] = static_cast<int32_t>(random.Below(2));
  const Tensor y = Run({"MatMulNBits",
                        1,
                        {a, codes, scales, zeros, groups},
                        {{"K", k}, {"N", n}, {"bits", int64_t{4}}, {"block_size", int64_t{16}}},
                        1,
                        kContrib})[0];
  std::vector<double> expected;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < n; ++column) {
      double sum = 0;
      for (int64_t i = 0; i < k; ++i) {
        const int byte = codes.data<uint8_t>()[column * 16 + i / 2];
        const int block = groups.data<int32_t>()[i];
        const int code = i % 2 == 0 ? byte & 15 : byte >> 4;
        const int zero = zeros.data<uint8_t>()[column] >> (4 * block) & 15;
        sum += static_cast<double>(a.data<float>()[row * k + i]) * (code - zero) *
               scales.data<float>()[column * 2 + block];
      }
      expected.push_back(sum);
    }
  CheckClose(y, expected, 1e-4);
}

TEST_CASE("QLinearReduceMean is the mean between two grids", "[kernels]") {
  Tensor x = Tensor::Empty(DType::kInt8, {3, 8, 4});
  for (int64_t i = 0; i < x.size(); ++i)
    x.mutable_data<int8_t>()[i] = static_cast<int8_t>(i * 37 % 256 - 128);
  const Tensor y = Run({"QLinearReduceMean",
                        1,
                        {x, Tensor::Scalar(0.05f), Tensor::Scalar<int8_t>(-3),
                         Tensor::Scalar(0.03f), Tensor::Scalar<int8_t>(7)},
                        {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{0}}},
                        1,
                        kContrib})[0];
  REQUIRE(y.shape() == Shape{3, 4});
  for (int64_t n = 0; n < 3; ++n)
    for (int64_t c = 0; c < 4; ++c) {
      double mean = 0;
      for (int64_t i = 0; i < 8; ++i)
        mean += (x.data<int8_t>()[(n * 8 + i) * 4 + c] + 3) * 0.05 / 8;
      const double code = std::min(127.0, std::max(-128.0, mean / 0.03 + 7));
      CHECK(std::fabs(y.data<int8_t>()[n * 4 + c] - code) <= 0.5001);
    }
}

TEST_CASE("Cast to float8e8m0 rounds and saturates as the specification's table says",
          "[kernels]") {
  const float big = std::numeric_limits<float>::max(), tiny = 1e-39f;
  const float infinity = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::FromVector<float>(
      {10}, {1, 1.25f, 1.5f, 1.75f, 2, 0.3f, 0, std::nanf(""), infinity, big});
  const auto codes = [&](const char* mode, int64_t saturate, const Tensor& from) {
    const Tensor y =
        Run({"Cast",
             25,
             {from},
             {{"to", int64_t{24}}, {"round_mode", std::string(mode)}, {"saturate", saturate}}})[0];
    const auto* bytes = static_cast<const uint8_t*>(y.raw());
    return std::vector<int>(bytes, bytes + y.size());
  };
  CHECK(codes("up", 1, x) == std::vector<int>{127, 128, 128, 128, 128, 126, 0, 255, 254, 254});
  CHECK(codes("down", 1, x) == std::vector<int>{127, 127, 127, 127, 128, 125, 0, 255, 254, 254});
  CHECK(codes("nearest", 1, x) == std::vector<int>{127, 127, 128, 128, 128, 125, 0, 255, 254, 254});
  CHECK(codes("nearest", 0, x) ==
        std::vector<int>{127, 127, 128, 128, 128, 125, 255, 255, 255, 255});
  CHECK(codes("down", 0, Tensor::FromVector<float>({1}, {tiny})) == std::vector<int>{255});
}

TEST_CASE("IsNaN and IsInf know float8", "[kernels]") {
  Tensor x = Tensor::Zeros(DType::kFloat8E5M2, {5});  // 1, infinity, -infinity, NaN, 0
  const uint8_t bytes[] = {0x3c, 0x7c, 0xfc, 0x7f, 0x00};
  std::copy_n(bytes, 5, static_cast<uint8_t*>(x.mutable_raw()));
  const auto bools = [](const Tensor& y) {
    return std::vector<bool>(y.data<bool>(), y.data<bool>() + y.size());
  };
  CHECK(bools(Run({"IsNaN", 20, {x}})[0]) == std::vector<bool>{false, false, false, true, false});
  CHECK(bools(Run({"IsInf", 20, {x}, {{"detect_negative", int64_t{0}}}})[0]) ==
        std::vector<bool>{false, true, false, false, false});
}

}  // namespace
}  // namespace roundel::engine
