// Kernels where the operator suite (opset 17 and below) has no data: later opsets, 16-bit floats,
// empty tensors, errors. Expected values by hand, from the specification's examples, or by brute
// force.
#include <cmath>

#include "lib/base/random.h"
#include "tests/lib/engine/run_op.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

Tensor Floats(const Shape& shape, const std::vector<float>& values) {
  return Tensor::FromVector(shape, values);
}
Tensor Ints(const std::vector<int64_t>& values) {
  return Tensor::FromVector({static_cast<int64_t>(values.size())}, values);
}
Tensor RandomFloats(const Shape& shape, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(static_cast<size_t>(NumElements(shape)));
  for (float& v : values) v = static_cast<float>(random.Normal());
  return Tensor::FromVector(shape, values);
}

std::vector<Tensor> RunAll(const OpCall& call) {
  auto result = RunOp(call);
  INFO(result.status().message());
  REQUIRE(result.ok());
  return *result;
}
Tensor Run(const OpCall& call) { return RunAll(call).at(0); }

std::string Error(const OpCall& call) {
  const auto result = RunOp(call);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().kind() == ErrorKind::kModel);
  return result.status().message();
}

void CheckClose(const Tensor& actual, const Tensor& expected, double tolerance = 1e-5) {
  REQUIRE(actual.shape() == expected.shape());
  for (int64_t i = 0; i < expected.size(); ++i) {
    INFO("element " << i);
    CHECK(actual.data<float>()[i] == Approx(expected.data<float>()[i]).margin(tolerance));
  }
}

TEST_CASE("the op table is sorted, without overlapping versions, and finds its own rows") {
  const auto& table = OpTable();
  CHECK(table.size() > 150);
  for (size_t i = 0; i < table.size(); ++i) {
    CHECK(FindOp(table[i].domain, table[i].op_type, table[i].since) == &table[i]);
    if (i == 0 || std::string(table[i].domain) != table[i - 1].domain) continue;
    const int order = std::string(table[i - 1].op_type).compare(table[i].op_type);
    INFO(table[i].op_type);
    CHECK(order <= 0);
    if (order == 0) CHECK(table[i - 1].until < table[i].since);
  }
  CHECK(FindOp("", "NoSuchOp", 13) == nullptr);
  CHECK(FindOp("", "Attention", 22) == nullptr);
  CHECK(FindOp("", "Upsample", 10) == nullptr);
}

// ---- later opsets

TEST_CASE("reductions take axes as an input from opset 18 on") {
  const Tensor x = Floats({2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK(Run({"ReduceMean", 18, {x, Ints({1})}}) == Floats({2, 1}, {2, 5}));
  CHECK(Run({"ReduceMax", 18, {x, Ints({-2})}, {{"keepdims", int64_t{0}}}}) ==
        Floats({3}, {4, 5, 6}));
  CHECK(Run({"ReduceSum", 13, {x}}) == Floats({1, 1}, {21}));
  CHECK(Run({"ReduceMin", 18, {x, Ints({})}, {{"noop_with_empty_axes", int64_t{1}}}}) == x);
  // Below 18 the attribute counts.
  CHECK(Run({"ReduceMean", 13, {x}, {{"axes", std::vector<int64_t>{0}}}}) ==
        Floats({1, 3}, {2.5f, 3.5f, 4.5f}));
  const Tensor flags = Tensor::FromVector<bool>({2, 2}, {true, false, false, false});
  CHECK(Run({"ReduceMax", 20, {flags, Ints({1})}, {{"keepdims", int64_t{0}}}}) ==
        Tensor::FromVector<bool>({2}, {true, false}));
  CHECK(Run({"ReduceMin", 20, {flags, Ints({0})}, {{"keepdims", int64_t{0}}}}) ==
        Tensor::FromVector<bool>({2}, {false, false}));
}

TEST_CASE("reductions over nothing give the neutral element") {
  const Tensor empty = Tensor::Zeros(DType::kFloat, {2, 0});
  CHECK(Run({"ReduceSum", 13, {empty, Ints({1})}}) == Floats({2, 1}, {0, 0}));
  CHECK(Run({"ReduceProd", 18, {empty, Ints({1})}}) == Floats({2, 1}, {1, 1}));
  CHECK(Run({"ReduceMax", 20, {empty, Ints({1})}}) == Floats({2, 1}, {-INFINITY, -INFINITY}));
  CHECK(Run({"ReduceLogSumExp", 18, {empty, Ints({1})}}) == Floats({2, 1}, {-INFINITY, -INFINITY}));
}

TEST_CASE("Split with num_outputs leaves a shorter last part") {
  const Tensor x = Floats({7}, {1, 2, 3, 4, 5, 6, 7});
  const auto parts = RunAll({"Split", 18, {x}, {{"num_outputs", int64_t{4}}}, 4});
  CHECK(parts[0] == Floats({2}, {1, 2}));
  CHECK(parts[2] == Floats({2}, {5, 6}));
  CHECK(parts[3] == Floats({1}, {7}));
  CHECK_THAT(Error({"Split", 13, {x}, {}, 4}), Catch::Contains("does not split"));
  CHECK_THAT(Error({"Split", 13, {x, Ints({3, 3})}, {}, 2}), Catch::Contains("does not add up"));
}

TEST_CASE("Pad with axes, wrap and negative pads") {
  const Tensor x = Floats({2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK(
      Run({"Pad", 19, {x, Ints({2, 2}), Tensor(), Ints({-1})}, {{"mode", std::string("wrap")}}}) ==
      Floats({2, 7}, {2, 3, 1, 2, 3, 1, 2, 5, 6, 4, 5, 6, 4, 5}));
  CHECK(Run({"Pad", 18, {x, Ints({0, -1, 1, 1}), Tensor::Scalar(9.0f)}}) ==
        Floats({3, 3}, {2, 3, 9, 5, 6, 9, 9, 9, 9}));
  CHECK(Run({"Pad", 13, {x, Ints({0, 4, 0, 4})}, {{"mode", std::string("reflect")}}}) ==
        Floats({2, 11}, {1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 4, 5, 6, 5, 4, 5, 6, 5, 4, 5, 6}));
  CHECK_THAT(Error({"Pad", 13, {x, Ints({0, -5, 0, 0})}}),
             Catch::Contains("do not fit shape [2, 3]"));
}

TEST_CASE("Resize: antialias, axes and aspect ratio as in the specification's examples") {
  std::vector<float> counting(16);
  for (size_t i = 0; i < 16; ++i) counting[i] = static_cast<float>(i + 1);
  const Tensor x = Floats({1, 1, 4, 4}, counting);
  CheckClose(Run({"Resize",
                  18,
                  {x, Tensor(), Floats({4}, {1, 1, 0.6f, 0.6f})},
                  {{"mode", std::string("linear")}, {"antialias", int64_t{1}}}}),
             Floats({1, 1, 2, 2}, {2.875f, 4.5f, 9.375f, 11.0f}));
  CheckClose(Run({"Resize",
                  18,
                  {x, Tensor(), Floats({4}, {1, 1, 0.6f, 0.6f})},
                  {{"mode", std::string("cubic")}, {"antialias", int64_t{1}}}}),
             Floats({1, 1, 2, 2}, {2.5180721f, 4.2858863f, 9.589329f, 11.357142f}), 1e-3);
  const Tensor wide = Floats({1, 1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(Run({"Resize",
             18,
             {wide, Tensor(), Tensor(), Ints({1, 3})},
             {{"axes", std::vector<int64_t>{2, 3}},
              {"keep_aspect_ratio_policy", std::string("not_larger")}}}) ==
        Floats({1, 1, 1, 2}, {1, 3}));
  CHECK(Run({"Resize",
             18,
             {Floats({2}, {1, 2}), Tensor(), Floats({1}, {2})},
             {{"mode", std::string("linear")},
              {"coordinate_transformation_mode", std::string("asymmetric")}}}) ==
        Floats({4}, {1, 1.5f, 2, 2}));
  // Before opset 11, as ONNX Runtime does it: up where an axis shrinks, down where it grows.
  const Tensor ramp = Floats({8}, {0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(Run({"Resize", 10, {ramp, Floats({1}, {0.6f})}}) == Floats({4}, {0, 2, 4, 5}));
  CHECK(Run({"Resize", 10, {Floats({2}, {1, 2}), Floats({1}, {1.7f})}}) == Floats({3}, {1, 1, 2}));
  CHECK_THAT(Error({"Resize", 18, {x, Tensor(), Floats({2}, {1, 1})}}),
             Catch::Contains("2 scales"));
  CHECK_THAT(Error({"Resize", 18, {x, Tensor(), Floats({4}, {1, 1, 1e30f, 1})}}),
             Catch::Contains("scale"));
}

TEST_CASE("group normalization scales per group in opset 18 and per channel from 21 on") {
  const Tensor x = RandomFloats({2, 4, 3}, 1);
  const std::vector<float> per_channel = {2, 2, 3, 3}, per_group = {2, 3};
  Tensor expected = Tensor::Empty(DType::kFloat, x.shape());
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t g = 0; g < 2; ++g) {
      const float* group = x.data<float>() + (n * 2 + g) * 6;
      double mean = 0, variance = 0;
      for (int i = 0; i < 6; ++i) mean += group[i] / 6.0;
      for (int i = 0; i < 6; ++i) variance += (group[i] - mean) * (group[i] - mean) / 6.0;
      for (int i = 0; i < 6; ++i)
        expected.mutable_data<float>()[(n * 2 + g) * 6 + i] =
            static_cast<float>((group[i] - mean) / std::sqrt(variance + 1e-5) * (2.0 + g) + 1.0);
    }
  const std::vector<std::pair<std::string, graph::Attribute::Value>> two = {
      {"num_groups", int64_t{2}}};
  CheckClose(Run({"GroupNormalization", 18, {x, Floats({2}, per_group), Floats({2}, {1, 1})}, two}),
             expected);
  CheckClose(Run({"GroupNormalization",
                  21,
                  {x, Floats({4}, per_channel), Floats({4}, {1, 1, 1, 1})},
                  two}),
             expected);
  CHECK_THAT(
      Error({"GroupNormalization", 21, {x, Floats({2}, per_group), Floats({2}, {1, 1})}, two}),
      Catch::Contains("[4] is needed"));
}

TEST_CASE("RMS normalization divides by the root of the mean square") {
  // rms of {3, 4} is sqrt(12.5)
  const float r = std::sqrt(12.5f);
  CheckClose(Run({"RMSNormalization",
                  23,
                  {Floats({1, 2}, {3, 4}), Floats({2}, {1, 10})},
                  {{"epsilon", 0.0f}}}),
             Floats({1, 2}, {3 / r, 40 / r}));
}

TEST_CASE("activations of later opsets have their known values") {
  CheckClose(Run({"Gelu", 20, {Floats({3}, {-1, 0, 1})}}),
             Floats({3}, {-0.15865526f, 0, 0.8413447f}));
  CheckClose(Run({"Gelu", 20, {Floats({2}, {-1, 1})}, {{"approximate", std::string("tanh")}}}),
             Floats({2}, {-0.158808f, 0.841192f}));
  CheckClose(Run({"Mish", 18, {Floats({3}, {0, 1, -1})}}),
             Floats({3}, {0, 0.8650984f, -0.3034015f}));
  CheckClose(Run({"Swish", 24, {Floats({2}, {1, -1})}}), Floats({2}, {0.7310586f, -0.2689414f}));
}

TEST_CASE("Shape of part of the axes, ReduceMax of integers, integer Clip and Sign") {
  CHECK(Run({"Max",
             13,
             {Tensor::FromVector<int8_t>({2}, {-5, 7}), Tensor::FromVector<int8_t>({1}, {0})}}) ==
        Tensor::FromVector<int8_t>({2}, {0, 7}));
  CHECK(Run({"Clip",
             13,
             {Tensor::FromVector<int8_t>({3}, {-5, 0, 7}), Tensor::Scalar<int8_t>(-1),
              Tensor::Scalar<int8_t>(5)}}) == Tensor::FromVector<int8_t>({3}, {-1, 0, 5}));
  CHECK(Run({"BitwiseAnd",
             18,
             {Tensor::FromVector<int32_t>({2}, {6, -1}),
              Tensor::FromVector<int32_t>({2}, {3, 8})}}) ==
        Tensor::FromVector<int32_t>({2}, {2, 8}));
  CHECK(Run({"ScatterElements",
             18,
             {Floats({3}, {1, 2, 3}), Ints({1, 1}), Floats({2}, {9, 0.5f})},
             {{"reduction", std::string("max")}}}) == Floats({3}, {1, 9, 3}));
}

// ---- 16-bit floats and float64

TEST_CASE("float16 arithmetic happens in float32 and rounds once") {
  const auto half = [](const std::vector<float>& v) {
    return Floats({static_cast<int64_t>(v.size())}, v).FromFloatTo(DType::kFloat16);
  };
  // Above 2048 half steps are 2: 2048 + 1 ties to even, 2050 + 1 up to 2052.
  CHECK(Run({"Add", 14, {half({2048, 2050}), half({1, 1})}}) == half({2048, 2052}));
  CHECK(Run({"Exp", 13, {half({12})}}) == half({INFINITY}));
  const Tensor x = RandomFloats({1, 2, 5, 5}, 2).FromFloatTo(DType::kFloat16);
  const Tensor w = RandomFloats({3, 2, 3, 3}, 3).FromFloatTo(DType::kFloat16);
  CHECK(Run({"Conv", 11, {x, w}}) ==
        Run({"Conv", 11, {x.ToFloat(), w.ToFloat()}}).FromFloatTo(DType::kFloat16));
}

TEST_CASE("float64 keeps its precision where the specification's types allow it") {
  const Tensor x = Tensor::FromVector<double>({2}, {1.0, 1e-12});
  CHECK(Run({"ReduceSum", 13, {x}, {{"keepdims", int64_t{0}}}}) == Tensor::Scalar(1.0 + 1e-12));
  CHECK(Run({"Sub", 14, {Tensor::Scalar(1.0 + 1e-12), Tensor::Scalar(1.0)}}) ==
        Tensor::Scalar((1.0 + 1e-12) - 1.0));
  CHECK(Run({"MatMul",
             13,
             {Tensor::FromVector<double>({1, 2}, {1, 1e-12}),
              Tensor::FromVector<double>({2, 1}, {1, 1})}}) ==
        Tensor::FromVector<double>({1, 1}, {1.0 + 1e-12}));
}

TEST_CASE("casts saturate out of range and drop fractions") {
  const Tensor x = Floats({5}, {300, -300, 2.9f, -2.9f, NAN});
  const auto cast = [&](DType type) {
    return Run({"Cast", 13, {x}, {{"to", static_cast<int64_t>(type)}}});
  };
  CHECK(cast(DType::kInt8) == Tensor::FromVector<int8_t>({5}, {127, -128, 2, -2, 0}));
  CHECK(cast(DType::kUint8) == Tensor::FromVector<uint8_t>({5}, {255, 0, 2, 0, 0}));
  CHECK(cast(DType::kBool) == Tensor::FromVector<bool>({5}, {true, true, true, true, true}));
  CHECK(Run({"Cast",
             21,
             {Tensor::FromVector<int8_t>({3}, {-8, 7, 3})},
             {{"to", static_cast<int64_t>(DType::kInt4)}}})
            .ToInt64s() == std::vector<int64_t>{-8, 7, 3});
  CHECK(Run({"Cast",
             13,
             {Floats({2}, {1e30f, -1e30f})},
             {{"to", static_cast<int64_t>(DType::kInt64)}}}) ==
        Tensor::FromVector<int64_t>({2}, {INT64_MAX, INT64_MIN}));
}

// ---- brute force over geometry

TEST_CASE("Conv equals seven nested loops for awkward strides, pads, dilations and groups") {
  const Tensor x = RandomFloats({2, 4, 7, 6}, 4), w = RandomFloats({6, 2, 3, 2}, 5);
  const Tensor bias = RandomFloats({6}, 6);
  const Tensor y = Run({"Conv",
                        11,
                        {x, w, bias},
                        {{"group", int64_t{2}},
                         {"strides", std::vector<int64_t>{2, 3}},
                         {"dilations", std::vector<int64_t>{2, 1}},
                         {"pads", std::vector<int64_t>{1, 2, 3, 0}}}});
  // (7 + 4 - 5) / 2 + 1 = 4, (6 + 2 - 2) / 3 + 1 = 3
  REQUIRE(y.shape() == Shape{2, 6, 4, 3});
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t o = 0; o < 6; ++o)
      for (int64_t i = 0; i < 4; ++i)
        for (int64_t j = 0; j < 3; ++j) {
          double sum = bias.data<float>()[o];
          for (int64_t c = 0; c < 2; ++c)
            for (int64_t p = 0; p < 3; ++p)
              for (int64_t q = 0; q < 2; ++q) {
                const int64_t row = i * 2 - 1 + p * 2, column = j * 3 - 2 + q;
                if (row < 0 || row >= 7 || column < 0 || column >= 6) continue;
                sum += double{x.data<float>()[((n * 4 + o / 3 * 2 + c) * 7 + row) * 6 + column]} *
                       w.data<float>()[((o * 2 + c) * 3 + p) * 2 + q];
              }
          CHECK(y.data<float>()[((n * 6 + o) * 4 + i) * 3 + j] == Approx(sum).margin(1e-5));
        }
}

TEST_CASE("ConvTranspose is the transpose of Conv: <Conv(x), y> = <x, ConvTranspose(y)>") {
  const Tensor x = RandomFloats({1, 4, 9, 8}, 7), w = RandomFloats({6, 2, 3, 3}, 8);
  const std::vector<std::pair<std::string, graph::Attribute::Value>> geometry = {
      {"group", int64_t{2}},
      {"strides", std::vector<int64_t>{2, 1}},
      {"dilations", std::vector<int64_t>{1, 2}},
      {"pads", std::vector<int64_t>{1, 0, 1, 2}}};
  const Tensor forward = Run({"Conv", 11, {x, w}, geometry});
  const Tensor y = RandomFloats(forward.shape(), 9);
  const Tensor back = Run({"ConvTranspose", 11, {y, w}, geometry});
  REQUIRE(back.shape() == x.shape());
  double left = 0, right = 0;
  for (int64_t i = 0; i < y.size(); ++i)
    left += double{forward.data<float>()[i]} * y.data<float>()[i];
  for (int64_t i = 0; i < x.size(); ++i)
    right += double{x.data<float>()[i]} * back.data<float>()[i];
  CHECK(left == Approx(right).epsilon(1e-5));
}

TEST_CASE("dilated average pooling (opset 19) averages the taps inside") {
  const Tensor x = Floats({1, 1, 5}, {1, 2, 3, 4, 5});
  CHECK(Run({"AveragePool",
             19,
             {x},
             {{"kernel_shape", std::vector<int64_t>{2}},
              {"dilations", std::vector<int64_t>{2}},
              {"pads", std::vector<int64_t>{1, 1}}}}) == Floats({1, 1, 5}, {2, 2, 3, 4, 4}));
}

TEST_CASE("empty tensors pass through") {
  const Tensor empty = Tensor::Zeros(DType::kFloat, {0, 3});
  CHECK(Run({"Add", 14, {empty, Floats({3}, {1, 2, 3})}}).shape() == Shape{0, 3});
  CHECK(Run({"Softmax", 13, {empty}}).shape() == Shape{0, 3});
  CHECK(Run({"MatMul", 13, {empty, Tensor::Zeros(DType::kFloat, {3, 2})}}).shape() == Shape{0, 2});
  CHECK(Run({"MatMul",
             13,
             {Tensor::Zeros(DType::kFloat, {2, 0}), Tensor::Zeros(DType::kFloat, {0, 2})}}) ==
        Floats({2, 2}, {0, 0, 0, 0}));
  CHECK(Run({"Concat", 13, {empty, Floats({1, 3}, {1, 2, 3})}, {{"axis", int64_t{0}}}}) ==
        Floats({1, 3}, {1, 2, 3}));
  CHECK(Run({"Transpose", 13, {empty}}).shape() == Shape{3, 0});
  CHECK(Run({"Conv", 11, {Tensor::Zeros(DType::kFloat, {0, 1, 4, 4}), Floats({1, 1, 1, 1}, {1})}})
            .shape() == Shape{0, 1, 4, 4});
}

// ---- errors

TEST_CASE("shapes and indices that do not fit are model errors that name them") {
  const Tensor x = Floats({2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK_THAT(Error({"Add", 14, {x, Floats({4}, {1, 2, 3, 4})}}),
             Catch::Contains("[2, 3] and [4] do not broadcast"));
  CHECK_THAT(Error({"Add", 14, {x}}), Catch::Contains("input 1 is missing"));
  CHECK_THAT(Error({"Add", 14, {x, Ints({1})}}), Catch::Contains("different types"));
  CHECK_THAT(Error({"MatMul", 13, {x, x}}), Catch::Contains("[2, 3] and [2, 3] do not fit"));
  CHECK_THAT(Error({"Reshape", 14, {x, Ints({4, -1})}}),
             Catch::Contains("cannot reshape [2, 3] to [4, -1]"));
  CHECK_THAT(Error({"Reshape", 14, {x, Ints({INT64_MAX, INT64_MAX})}}),
             Catch::Contains("cannot reshape"));
  CHECK_THAT(Error({"Gather", 13, {x, Ints({2})}}), Catch::Contains("index 2 is out of range"));
  CHECK_THAT(Error({"ScatterND", 18, {x, Ints({5}), Floats({3}, {1, 2, 3})}}),
             Catch::Contains("index 5"));
  CHECK_THAT(Error({"Concat", 13, {x, Floats({1, 2}, {1, 2})}, {{"axis", int64_t{0}}}}),
             Catch::Contains("cannot concatenate"));
  CHECK_THAT(Error({"Conv",
                    11,
                    {Tensor::Zeros(DType::kFloat, {1, 3, 4, 4}),
                     Tensor::Zeros(DType::kFloat, {2, 4, 1, 1})}}),
             Catch::Contains("[1, 3, 4, 4]") && Catch::Contains("[2, 4, 1, 1]"));
  CHECK_THAT(Error({"Conv",
                    11,
                    {Tensor::Zeros(DType::kFloat, {1, 1, 2, 2}),
                     Tensor::Zeros(DType::kFloat, {1, 1, 3, 3})}}),
             Catch::Contains("exceeds the padded input"));
  CHECK_THAT(Error({"Div", 14, {Ints({1}), Ints({0})}}), Catch::Contains("division by zero"));
  CHECK_THAT(Error({"Softmax", 13, {x}, {{"axis", int64_t{2}}}}), Catch::Contains("axis 2"));
  CHECK_THAT(Error({"ConstantOfShape", 9, {Ints({1 << 20, 1 << 20})}}),
             Catch::Contains("exceeds the limit"));
  CHECK_THAT(Error({"Expand", 13, {x, Ints({INT64_MAX, 2, 3})}}), Catch::Contains("overflows"));
  CHECK_THAT(Error({"Einsum", 12, {x, x}, {{"equation", std::string("ij,jk->ik")}}}),
             Catch::Contains("'ij,jk->ik'"));
  CHECK_THAT(Error({"Slice", 13, {x, Ints({0}), Ints({1}), Ints({0}), Ints({0})}}),
             Catch::Contains("step 0"));
  CHECK_THAT(
      Error({"Range", 11, {Tensor::Scalar(0.0f), Tensor::Scalar(1e30f), Tensor::Scalar(1e-3f)}}),
      Catch::Contains("too large"));
}

}  // namespace
}  // namespace roundel::engine
