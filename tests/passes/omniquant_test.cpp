// Oracles: rounding to nearest on data that the pass has not seen; for transformations the float
// model, whose function the changed constants must keep.

#include <cmath>
#include <cstring>

#include "tests/support/layerwise.h"

namespace roundel::passes {
namespace {

using support::CorrelatedSource;
using support::kManyLayers;
using support::OutputError;
using support::Round;
using support::RoundedOptions;
using support::VectorSource;

RoundedOptions Options(int bits) {
  RoundedOptions options{.params = {{"rate", "0.05"}, {"iterations", "100"}, {"batch", "16"}}};
  options.grid.bits = bits;
  options.grid.narrow_range = false;
  return options;
}

TEST_CASE("clipping brings layers of all kinds closer to the float model") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 8, 3);
  VectorSource others = CorrelatedSource({16, 4, 6, 6}, 4, 99);
  for (const int bits : {3, 4}) {
    const double nearest = OutputError(*Round(kManyLayers, "", &data, Options(bits)), &others);
    const auto r = Round(kManyLayers, "omniquant", &data, Options(bits));
    INFO(bits);
    CHECK(OutputError(*r, &others) < nearest);
    CHECK(r->Weight("w1").decided_by == "omniquant");
  }
}

const char* const kPerceptron = R"(opset 17
graph g (float32[N,6,12] x) => (float32[N,6,12] y) {
  float32[12] gain = random(1)
  float32[12] offset = random(2)
  float32[12,12] w0 = random(7)
  h = MatMul(x, w0)
  n = LayerNormalization(h, gain, offset)
  float32[12,20] wg = random(3)
  float32[12,20] wu = random(4)
  float32[20] bu = random(5)
  float32[20,12] wd = random(6)
  gate = MatMul(n, wg)
  open = Sigmoid(gate)
  un = MatMul(n, wu)
  up = Add(un, bu)
  m = Mul(open, up)
  d = MatMul(m, wd)
  y = Add(h, d)
})";

TEST_CASE("transformed constants keep the float function, and lower the error of the codes") {
  VectorSource data = CorrelatedSource({8, 6, 12}, 8, 3);
  VectorSource others = CorrelatedSource({8, 6, 12}, 4, 99);
  RoundedOptions options = Options(4);
  const double nearest = OutputError(*Round(kPerceptron, "", &data, options), &others);
  options.params["transform"] = "on";
  options.params["transform_rate"] = "0.02";
  options.params["max_layers"] = "4";
  const auto r = Round(kPerceptron, "omniquant", &data, options);
  CHECK(OutputError(*r, &others) < nearest);
  const graph::Graph &before = *r->before.graph, &after = *r->session.model.graph;
  for (const char* changed : {"gain", "offset", "wg", "wu", "bu", "wd"}) {
    INFO(changed);
    const Tensor *a = before.Constant(changed), *b = after.Constant(changed);
    REQUIRE((a && b));
    CHECK(std::memcmp(a->raw(), b->raw(), static_cast<size_t>(a->byte_size())) != 0);
  }
  auto first = engine::Executor::Create(r->before).value();
  auto second = engine::Executor::Create(r->session.model).value();
  REQUIRE(others.Rewind().ok());
  const auto batch = others.Next().value();
  const Tensor y = first->Run(batch->inputs).value()[0], z = second->Run(batch->inputs).value()[0];
  double largest = 0, difference = 0;
  for (int64_t i = 0; i < y.size(); ++i) {
    largest = std::max<double>(largest, std::fabs(y.data<float>()[i]));
    difference = std::max<double>(difference, std::fabs(y.data<float>()[i] - z.data<float>()[i]));
  }
  CHECK(difference < 1e-5 * largest);
}

}  // namespace
}  // namespace roundel::passes
