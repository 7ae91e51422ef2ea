#include "lib/session/layer_facts.h"

#include <cmath>

#include "lib/graph/text.h"
#include "tests/support/catch.h"

using namespace roundel;

namespace {

Session WithModel(const char* text) {
  Session session;
  auto model = graph::Parse(text);
  REQUIRE(model.ok());
  session.model = std::move(*model);
  return session;
}

}  // namespace

TEST_CASE("facts of layers: grid, size and rounding error of the weights") {
  Session session = WithModel(R"(opset 13
graph g (float32[N,2] x) => (float32[N,3] y) {
  float32[2,3] w = {0.5, -1, 0.26, 1, 0.125, -0.375}
  float32[3,3] v = {1, 0, 0, 0, 1, 0, 0, 0, 1}
  a = MatMul(x, w)
  b = Relu(a)
  y = MatMul(b, v)
})");
  quant::Encoding weight = {.role = quant::Role::kWeight,
                            .grid = {.bits = 4, .is_signed = true, .symmetric = true},
                            .granularity = quant::Granularity::kChannel,
                            .axis = 1};
  weight.params = {{.scale = 0.25f}, {.scale = 0.25f}, {.scale = 0.25f}};
  session.encodings["w"] = weight;
  session.encodings["x"] = {.grid = {.bits = 8}, .params = {{.scale = 1}}};
  session.encodings["b"] = {.grid = {.bits = 8}, .params = {{.scale = 1}}};
  const auto layers = LayerFactsOf(session);
  REQUIRE(layers.size() == 2);
  CHECK(layers[0].op_type == "MatMul");
  CHECK(layers[0].input == "x");
  CHECK(layers[0].output == "b");  // behind the activation function, where the grid is
  CHECK(layers[0].input_grid == session.encodings["x"].grid.Name());
  CHECK(layers[0].bits == 4);
  CHECK(layers[0].granularity == "channel");
  CHECK(layers[0].scales == 3);
  CHECK(layers[0].weights == 6);
  CHECK(layers[0].bytes == 3 + 3 * 4);
  // Worked by hand: 0.26 -> 0.25, 0.125 -> 0 and -0.375 -> -0.5 (half to even).
  const double signal = 0.25 + 1 + 0.26 * 0.26 + 1 + 0.125 * 0.125 + 0.375 * 0.375;
  const double noise = 0.01 * 0.01 + 0.125 * 0.125 + 0.125 * 0.125;
  REQUIRE(layers[0].weight_sqnr);
  CHECK(*layers[0].weight_sqnr == Approx(10 * std::log10(signal / noise)).epsilon(1e-6));
  CHECK(layers[1].grid.empty());
  CHECK(layers[1].bytes == 36);
  CHECK_FALSE(layers[1].weight_sqnr);
}
