// Simulation against what it stands for: the same graph with QuantizeLinear and DequantizeLinear
// written out, run by the plain kernels.

#include <cmath>

#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

constexpr char kFloatNet[] = R"(opset 13
graph g (float32[2,3,6,6] x) => (float32 y) {
  float32[4,3,3,3] w = random(1)
  float32[4] b = random(2)
  float32[4,4,1,1] v = random(3)
  t = Conv<pads=[1,1,1,1]>(x, w, b)
  a = Relu(t)
  c = Conv(a, v)
  y = Add(c, a)
})";

// Activations x, a and y in uint8; w per channel in int8; v per tensor; b with scale s_x * s_w.
constexpr char kQdqNet[] = R"(opset 13
graph g (float32[2,3,6,6] x) => (float32 yq) {
  float32[4,3,3,3] w = random(1)
  float32[4] b = random(2)
  float32[4,4,1,1] v = random(3)
  float32[] sx = {0.0078125}
  uint8[] zx = {128}
  float32[] sa = {0.02}
  uint8[] za = {0}
  float32[] sy = {0.05}
  uint8[] zy = {77}
  float32[4] sw = {0.007, 0.008, 0.009, 0.01}
  int8[4] zw = zeros
  float32[] sv = {0.0075}
  int8[] zv = {3}
  float32[4] sb = {0.0001, 0.0002, 0.0003, 0.0004}
  xi = QuantizeLinear(x, sx, zx)
  xq = DequantizeLinear(xi, sx, zx)
  wi = QuantizeLinear<axis=0>(w, sw, zw)
  wq = DequantizeLinear<axis=0>(wi, sw, zw)
  vi = QuantizeLinear(v, sv, zv)
  vq = DequantizeLinear(vi, sv, zv)
  bd = Div(b, sb)
  br = Round(bd)
  bq = Mul(br, sb)
  t = Conv<pads=[1,1,1,1]>(xq, wq, bq)
  a = Relu(t)
  ai = QuantizeLinear(a, sa, za)
  aq = DequantizeLinear(ai, sa, za)
  c = Conv(aq, vq)
  y = Add(c, aq)
  yi = QuantizeLinear(y, sy, zy)
  yq = DequantizeLinear(yi, sy, zy)
})";

quant::Encoding Activation(float scale, int32_t zero_point) {
  quant::Encoding e;
  e.params = {{scale, zero_point}};
  return e;
}

quant::EncodingTable Table() {
  quant::EncodingTable table;
  table["x"] = Activation(0.0078125f, 128);
  table["a"] = Activation(0.02f, 0);
  table["y"] = Activation(0.05f, 77);
  table["w"] = {.role = quant::Role::kWeight,
                .grid = {.bits = 8, .is_signed = true, .symmetric = true},
                .granularity = quant::Granularity::kChannel,
                .axis = 0,
                .params = {{0.007f, 0}, {0.008f, 0}, {0.009f, 0}, {0.01f, 0}}};
  table["v"] = {.role = quant::Role::kWeight,
                .grid = {.bits = 8, .is_signed = true},
                .params = {{0.0075f, 3}}};
  table["b"] = {.role = quant::Role::kBias,
                .grid = {.bits = 32, .is_signed = true, .symmetric = true},
                .granularity = quant::Granularity::kChannel,
                .axis = 0,
                .params = {{0.0001f, 0}, {0.0002f, 0}, {0.0003f, 0}, {0.0004f, 0}}};
  return table;
}

TEST_CASE("simulation equals the graph with quantizers written out, bit for bit") {
  const quant::EncodingTable table = Table();
  const Tensor x = RandomTensor({2, 3, 6, 6}, 9);
  const auto simulated =
      MustCreate(ParseModel(kFloatNet), {.simulate = &table, .fast_kernels = false});
  const auto written = MustCreate(ParseModel(kQdqNet), {.fast_kernels = false});
  const Tensor a = MustRun(*simulated, {x})[0], b = MustRun(*written, {x})[0];
  CHECK(a == b);
}

TEST_CASE("fast simulation differs by single steps of the grid at most") {
  const quant::EncodingTable table = Table();
  const Tensor x = RandomTensor({2, 3, 6, 6}, 9);
  const auto fast = MustCreate(ParseModel(kFloatNet), {.simulate = &table});
  const auto plain = MustCreate(ParseModel(kFloatNet), {.simulate = &table, .fast_kernels = false});
  for (int run = 0; run < 2; ++run) {
    const Tensor a = MustRun(*fast, {x})[0], b = MustRun(*plain, {x})[0];
    int64_t different = 0;
    for (int64_t i = 0; i < a.size(); ++i) {
      const float step = std::fabs(a.data<float>()[i] - b.data<float>()[i]);
      CHECK(step < 0.0501f);
      different += step > 1e-6f;
      // On the grid.
      const float code = a.data<float>()[i] / 0.05f;
      CHECK(std::fabs(code - std::round(code)) < 1e-4f);
    }
    CHECK(different <= a.size() / 100);
  }
  // The caller's input is not quantized in place.
  CHECK(x == RandomTensor({2, 3, 6, 6}, 9));
}

TEST_CASE("quantizers written out in the graph run as one step, bit for bit") {
  struct Case {
    const char *type, *zero_point;
  };
  for (const Case& c :
       {Case{"uint8", "131"}, {"int8", "-5"}, {"uint16", "40000"}, {"int16", "0"}}) {
    const graph::Model model = ParseModel(StrCat(R"(opset 21
graph g (float32[2,3,6,6] x) => (float32 y) {
  float32[] s = {0.0123}
  )",
                                                 c.type, "[] z = {", c.zero_point, R"(}
  q = QuantizeLinear(x, s, z)
  d = DequantizeLinear(q, s, z)
  y = Relu(d)
})"));
    const Tensor x = RandomTensor({2, 3, 6, 6}, 9, -4, 4);
    const Coverage coverage = FastCoverage(model, {x});
    CHECK(coverage.steps == 1);
    CHECK(coverage.fast == 1);
    CHECK(MustRun(*MustCreate(model), {x})[0] ==
          MustRun(*MustCreate(model, {.fast_kernels = false}), {x})[0]);
  }
}

TEST_CASE("quantizers that are no such pair are left as they are") {
  for (const char* nodes :
       {"q = QuantizeLinear(x, s, z)\n y = DequantizeLinear(q, t, z)",
        "q = QuantizeLinear(x, s, z)\n y = DequantizeLinear(q, s)",
        "q = QuantizeLinear<axis=1>(x, c, k)\n y = DequantizeLinear<axis=1>(q, c, k)",
        "q = QuantizeLinear(x, s, z)\n a = DequantizeLinear(q, s, z)\n b = DequantizeLinear(q, s, "
        "z)\n"
        " y = Add(a, b)"}) {
    const graph::Model model = ParseModel(StrCat(R"(opset 21
graph g (float32[2,3,6,6] x) => (float32 y) {
  float32[] s = {0.0123}
  float32[] t = {0.02}
  uint8[] z = {100}
  float32[3] c = {0.1, 0.2, 0.3}
  uint8[3] k = {1, 2, 3}
 )",
                                                 nodes, "\n}"));
    const Tensor x = RandomTensor({2, 3, 6, 6}, 9, -4, 4);
    CHECK(MustRun(*MustCreate(model), {x})[0] ==
          MustRun(*MustCreate(model, {.fast_kernels = false}), {x})[0]);
  }
}

TEST_CASE("a tap sees the quantized value") {
  const quant::EncodingTable table = Table();
  const auto executor =
      MustCreate(ParseModel(kFloatNet), {.tapped_values = {"x", "a"}, .simulate = &table});
  int on_grid = 0, all = 0;
  const auto count = [&](float scale) {
    return [&on_grid, &all, scale](const TapView& view) {
      for (float v : view.data) {
        const float code = v / scale;
        on_grid += std::fabs(code - std::round(code)) < 1e-3f;
        ++all;
      }
      return OkStatus();
    };
  };
  MustRun(*executor, {RandomTensor({2, 3, 6, 6}, 9)},
          {{"x", true, count(0.0078125f)}, {"a", true, count(0.02f)}});
  CHECK(all == 2 * 3 * 36 + 2 * 4 * 36);
  CHECK(on_grid == all);
}

TEST_CASE("codes that a pass has fixed are used as they are") {
  quant::EncodingTable table;
  quant::Encoding e{.role = quant::Role::kWeight,
                    .grid = {.bits = 4, .is_signed = true, .symmetric = true},
                    .params = {{0.5f, 0}}};
  e.codes = Tensor::FromVector<int8_t>({2}, {7, -3});
  table["k"] = e;
  const auto executor = MustCreate(ParseModel(R"(opset 13
graph g (float32[2] x) => (float32 y) {
  float32[2] k = {0, 0}
  y = Mul(x, k)
})"),
                                   {.simulate = &table});
  CHECK(MustRun(*executor, {Tensor::FromVector<float>({2}, {1, 2})})[0] ==
        Tensor::FromVector<float>({2}, {3.5f, -3}));
}

TEST_CASE("weights that are computed from constants are quantized where their encoding is") {
  quant::EncodingTable table;
  table["wt"] = {
      .role = quant::Role::kWeight, .grid = {.bits = 8, .is_signed = true}, .params = {{1.0f, 0}}};
  const auto executor = MustCreate(ParseModel(R"(opset 13
graph g (float32[1,2] x) => (float32 y) {
  float32[2,2] w = {0.6, 1.4, 2.6, -3.4}
  wt = Transpose<perm=[1,0]>(w)
  y = MatMul(x, wt)
})"),
                                   {.simulate = &table});
  CHECK(MustRun(*executor, {Tensor::FromVector<float>({1, 2}, {1, 1})})[0] ==
        Tensor::FromVector<float>({1, 2}, {2, 0}));
}

TEST_CASE("activations can be quantized per channel") {
  quant::EncodingTable table;
  quant::Encoding e = Activation(0, 0);
  e.granularity = quant::Granularity::kChannel;
  e.axis = 1;
  e.params = {{0.1f, 0}, {0.5f, 0}, {1.0f, 0}, {2.0f, 0}};
  table["a"] = e;
  const Tensor x = RandomTensor({2, 3, 6, 6}, 9);
  const auto fast = MustCreate(ParseModel(kFloatNet), {.simulate = &table, .outputs = {"a"}});
  const auto plain = MustCreate(ParseModel(kFloatNet), {.fast_kernels = false, .outputs = {"a"}});
  const Tensor a = MustRun(*fast, {x})[0];
  const Tensor expected = quant::FakeQuantizeTensor(MustRun(*plain, {x})[0], e);
  int64_t different = 0;
  for (int64_t i = 0; i < a.size(); ++i)
    different += std::fabs(a.data<float>()[i] - expected.data<float>()[i]) > 1e-6f;
  CHECK(different <= 1);
}

TEST_CASE("encodings that do not fit are errors that name the value") {
  const auto create_error = [](const std::string& value, const quant::Encoding& e) {
    const quant::EncodingTable table = {{value, e}};
    const auto executor = Executor::Create(ParseModel(kFloatNet), {.simulate = &table});
    if (!executor.ok()) return executor.status();
    const auto result = (*executor)->Run({RandomTensor({2, 3, 6, 6}, 9)});
    REQUIRE_FALSE(result.ok());
    return result.status();
  };
  quant::Encoding e = Activation(0.1f, 0);
  e.granularity = quant::Granularity::kChannel;
  e.axis = 1;
  for (const char* value : {"w", "a"}) {
    const Status status = create_error(value, e);
    CHECK(status.kind() == ErrorKind::kModel);
    CHECK_THAT(status.message(), Catch::Contains(StrCat("'", value, "'")));
  }
  quant::Encoding coded = Activation(0.1f, 0);
  coded.codes = Tensor::FromVector<uint8_t>({2}, {1, 2});
  CHECK_THAT(create_error("w", coded).message(), Catch::Contains("[2]"));
}

TEST_CASE("values that are no floats cannot be quantized") {
  const quant::EncodingTable table = {{"s", Activation(1, 0)}};
  const auto executor =
      MustCreate(ParseModel("opset 13\ngraph g (float32[2] x) => (int64 s) { s = Shape(x) }"),
                 {.simulate = &table});
  const auto result = executor->Run({RandomTensor({2}, 1)});
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().kind() == ErrorKind::kModel);
  CHECK_THAT(result.status().message(), Catch::Contains("'s'") && Catch::Contains("int64"));
}

}  // namespace
}  // namespace roundel::engine
