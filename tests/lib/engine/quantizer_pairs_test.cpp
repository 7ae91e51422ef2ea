// Models that are already quantized: with and without taking the pairs out, the results are the
// same bits, since both go through the one rounding rule on the same floats.

#include "lib/engine/quantizer_pairs.h"
#include "lib/engine/executor.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"
#include "tests/support/vector_source.h"

namespace roundel::engine {
namespace {

// x -> QDQ -> Relu -> QDQ -> Add with itself -> QDQ -> y, only exact arithmetic in between.
constexpr const char* kQuantized = R"(opset 13
  graph g (float32[N,5] x) => (float32[N,5] y) {
    float32[] s = {0.05}
    uint8[] z = {100}
    float32[] s2 = {0.03}
    int8[] z2 = {-128}
    xq = QuantizeLinear(x, s, z)
    xd = DequantizeLinear(xq, s, z)
    r = Relu(xd)
    rq = QuantizeLinear(r, s2, z2)
    rd = DequantizeLinear(rq, s2, z2)
    a = Add(rd, rd)
    aq = QuantizeLinear(a, s2, z2)
    y = DequantizeLinear(aq, s2, z2)
  })";

Tensor RunOn(const graph::Model& model, const Tensor& x, ExecutorOptions options) {
  auto executor = Executor::Create(model, options);
  REQUIRE(executor.ok());
  auto outputs = (*executor)->Run({x});
  REQUIRE(outputs.ok());
  return (*outputs)[0];
}

std::map<std::string, quant::Encoding> Pairs(const graph::Model& model,
                                             const std::set<std::string>& keep, size_t* left) {
  auto nodes = Flatten(model);
  REQUIRE(nodes.ok());
  auto pairs = TakeQuantizerPairs(*model.graph, keep, &*nodes);
  *left = nodes->size();
  return pairs;
}

TEST_CASE("pairs become encodings of the values that are left") {
  const graph::Model model = graph::Parse(kQuantized).value();
  size_t left = 0;
  const auto pairs = Pairs(model, {"y"}, &left);
  CHECK(left == 2);
  REQUIRE(pairs.size() == 3);
  CHECK(pairs.at("x").params[0] == quant::QParams{0.05f, 100});
  CHECK_FALSE(pairs.at("x").grid.is_signed);
  CHECK(pairs.at("rd").params[0] == quant::QParams{0.03f, -128});
  CHECK(pairs.at("y").grid.is_signed);
}

TEST_CASE("a value that is wanted under its own name keeps its pair") {
  const graph::Model model = graph::Parse(kQuantized).value();
  size_t left = 0;
  CHECK(Pairs(model, {"y", "r"}, &left).count("r") == 0);
  CHECK(left == 4);
  CHECK(Pairs(model, {"y", "rq"}, &left).count("rd") == 1);
  CHECK(left == 4);
}

TEST_CASE("a quantizer whose input has other readers, or whose parameters differ, stays") {
  const graph::Model shared = graph::Parse(R"(opset 13
    graph g (float32[N,5] x) => (float32[N,5] y) {
      float32[] s = {0.05}
      uint8[] z = {100}
      q = QuantizeLinear(x, s, z)
      d = DequantizeLinear(q, s, z)
      y = Add(d, x)
    })")
                                  .value();
  size_t left = 0;
  CHECK(Pairs(shared, {"y"}, &left).count("x") == 0);
  CHECK(left == 3);
  const graph::Model different = graph::Parse(R"(opset 13
    graph g (float32[N,5] x) => (float32[N,5] y) {
      float32[] s = {0.05}
      float32[] t = {0.06}
      uint8[] z = {100}
      q = QuantizeLinear(x, s, z)
      y = DequantizeLinear(q, t, z)
    })")
                                     .value();
  CHECK(Pairs(different, {"y"}, &left).empty());
  CHECK(left == 2);
}

// A value has one grid: of two pairs in a row the second one stays.
TEST_CASE("a pair behind a pair stays, and rounds again") {
  for (const std::string first : {"Identity", "Relu"}) {
    INFO(first);
    const graph::Model model = graph::Parse(R"(opset 13
      graph g (float32[N,5] x) => (float32[N,5] y) {
        float32[] s = {0.5}
        float32[] t = {0.3}
        uint8[] z = {100}
        a = )" + first + R"((x)
        aq = QuantizeLinear(a, s, z)
        ad = DequantizeLinear(aq, s, z)
        bq = QuantizeLinear(ad, t, z)
        y = DequantizeLinear(bq, t, z)
      })")
                                   .value();
    size_t left = 0;
    CHECK(Pairs(model, {"y"}, &left).size() == 1);
    CHECK(left == 3);
    const Tensor x = Tensor::FromVector<float>({1, 5}, {0.2f, 0.3f, 0.9f, 1.7f, 2.4f});
    // Multiples of a half, then of 0.3: 0.3 -> 0.5 -> 0.6, 0.9 -> 1 -> 0.9, 1.7 -> 1.5, 2.4 -> 2.5
    // -> 2.4.
    const Tensor expected =
        Tensor::FromVector<float>({1, 5}, {0, 2 * 0.3f, 3 * 0.3f, 5 * 0.3f, 8 * 0.3f});
    CHECK(RunOn(model, x, {}) == expected);
    CHECK(RunOn(model, x, {.fast_kernels = false}) == expected);
  }
  const graph::Model input = graph::Parse(R"(opset 13
    graph g (float32[N,5] x) => (float32[N,5] y) {
      float32[] s = {0.5}
      float32[] t = {0.3}
      uint8[] z = {100}
      aq = QuantizeLinear(x, s, z)
      ad = DequantizeLinear(aq, s, z)
      bq = QuantizeLinear(ad, t, z)
      y = DequantizeLinear(bq, t, z)
    })")
                                 .value();
  size_t left = 0;
  CHECK(Pairs(input, {"y"}, &left).size() == 1);
  CHECK(left == 2);
  const Tensor x = Tensor::FromVector<float>({1, 5}, {0.2f, 0.3f, 0.9f, 1.7f, 2.4f});
  CHECK(RunOn(input, x, {}) == RunOn(input, x, {.fast_kernels = false}));
}

TEST_CASE("a quantized model gives the same bits with and without its pairs") {
  const graph::Model model = graph::Parse(kQuantized).value();
  Random random(5);
  const Tensor x = support::RandomTensor({7, 5}, random, 4.0);
  const Tensor plain = RunOn(model, x, {.fast_kernels = false});
  CHECK(RunOn(model, x, {}) == plain);
}

}  // namespace
}  // namespace roundel::engine
