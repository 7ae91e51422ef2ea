// Oracle: the float model that was exported, run by the plain kernels.

#include <algorithm>

#include "lib/targets/restore_clamps.h"

#include "lib/engine/executor.h"
#include "lib/targets/qdq.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"
#include "tests/support/vector_source.h"

namespace roundel::target {
namespace {

// `zero_point` counts from the lowest code.
quant::Encoding Grid(float scale, int32_t zero_point, bool is_signed = false) {
  return {.role = quant::Role::kActivation,
          .grid = {.bits = 8, .is_signed = is_signed},
          .params = {{scale, is_signed ? zero_point - 128 : zero_point}}};
}

std::string Net(int opset) {
  const std::string clip = opset < 11 ? "a = Clip<min=0.0, max=6.0>(c)" : "a = Clip(c, zero, six)";
  return "opset " + std::to_string(opset) + R"(
    graph g (float32[N,2,4,4] x) => (float32[N,2,4,4] y) {
      float32[3,2,1,1] w1 = {3, -2, 0.5, 4, -1, 2.5}
      float32[2,3,1,1] w2 = {1, 0.5, -1, 0.25, 2, 1}
      float32[] zero = {0}
      float32[] six = {6}
      c = Conv(x, w1)
      )" +
         clip + R"(
      d = Conv(a, w2)
      s = Add(d, x)
      y = Relu(s)
    })";
}

TEST_CASE("clamps that quantizers had taken in are back in the float model") {
  for (const auto& [opset, is_signed] : {std::pair{10, false}, {13, false}, {13, true}}) {
    INFO(opset << (is_signed ? ", signed" : ""));
    const graph::Model model = support::ParseModel(Net(opset));
    const quant::EncodingTable table = {{"x", Grid(0.05f, 128, is_signed)},
                                        {"a", Grid(static_cast<float>(6.0 / 255), 0, is_signed)},
                                        {"d", Grid(0.2f, 120, is_signed)},
                                        {"y", Grid(0.1f, 0, is_signed)}};
    const graph::Model exported = ExportQdq(model, table, {.absorb_relu = true}).value();
    for (const graph::NodePtr& node : exported.graph->nodes())
      CHECK_FALSE((node->op_type == "Clip" || node->op_type == "Relu"));
    const FloatModel back = ImportQdq(exported).value();
    Random random(3);
    const Tensor x = support::RandomTensor({3, 2, 4, 4}, random, 2);
    const auto run = [&](const graph::Model& m) {
      return engine::Executor::Create(m, {.fast_kernels = false}).value()->Run({x}).value()[0];
    };
    const Tensor expected = run(model), actual = run(back.model);
    for (int64_t i = 0; i < expected.size(); ++i)
      CHECK(actual.data<float>()[i] ==
            Approx(std::min(expected.data<float>()[i], 25.5f)).margin(1e-4));
    // Exporting again gives the same model.
    CHECK(ExportQdq(back.model, back.encodings, {.absorb_relu = true})
              .value()
              .graph->nodes()
              .size() == exported.graph->nodes().size());
  }
}

TEST_CASE("values of either sign, and those in front of a clamp that is there, are left alone") {
  graph::Model model = support::ParseModel(R"(opset 13
    graph g (float32[N,4] x) => (float32[N,2] y) {
      float32[4,3] a = random(1)
      float32[3,2] b = random(2)
      h = MatMul(x, a)
      r = Relu(h)
      y = MatMul(r, b)
    })");
  CHECK(
      RestoreClamps(
          {{"x", Grid(0.1f, 0)}, {"h", Grid(0.1f, 0)}, {"r", Grid(0.1f, 0)}, {"y", Grid(0.1f, 3)}},
          &model) == 0);
  CHECK(RestoreClamps({{"y", Grid(0.1f, 0)}}, &model) == 1);
  CHECK(model.graph->Producer("y")->op_type == "Clip");
}

}  // namespace
}  // namespace roundel::target
