// Oracle: every candidate tried on the data itself, in double.

#include "tests/support/layerwise.h"

namespace roundel::passes {
namespace {

using support::CorrelatedSource;
using support::kManyLayers;
using support::OutputError;
using support::Round;
using support::VectorSource;

constexpr char kLayer[] = R"(opset 13
  graph g (float32[N,7] x) => (float32[N,5] y) {
    float32[7,5] w = random(1)
    y = MatMul(x, w)
  })";

TEST_CASE("the candidate with the least output error is chosen") {
  VectorSource data = CorrelatedSource({32, 7}, 4, 3, true);
  const auto r = Round(kLayer, "seq_mse", &data, {.params = {{"held_out", "0"}}});
  const Tensor& w = *r->before.graph->Constant("w");
  for (int64_t o = 0; o < 5; ++o) {
    float largest = 0;
    for (int64_t i = 0; i < 7; ++i) largest = std::max(largest, std::fabs(w.data<float>()[i * 5 + o]));
    double best = 1e30;
    float chosen = 0;
    for (int k = 1; k <= 20; ++k) {
      const auto scale = static_cast<float>(static_cast<double>(largest) * k / 20 / 7);
      double error = 0;
      REQUIRE(data.Rewind().ok());
      while (const auto batch = data.Next().value())
        for (int64_t s = 0; s < batch->size; ++s) {
          double e = 0;
          for (int64_t i = 0; i < 7; ++i) {
            const double v = w.data<float>()[i * 5 + o];
            const double q = std::clamp(std::nearbyint(v / static_cast<double>(scale)), -7.0, 7.0);
            e += (q * scale - v) * batch->inputs[0].data<float>()[s * 7 + i];
          }
          error += e * e;
        }
      if (error < best) best = error, chosen = scale;
    }
    CHECK(r->Weight("w").params[static_cast<size_t>(o)].scale == Approx(chosen).epsilon(1e-5));
  }
}

TEST_CASE("all choices of inputs run on layers of all kinds, and help") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 8, 3);
  const double nearest = OutputError(*Round(kManyLayers, "", &data), &data);
  for (const char* inputs : {"symqt", "symfp", "asym"})
    CHECK(OutputError(*Round(kManyLayers, "seq_mse", &data, {.params = {{"inputs", inputs}}}),
                      &data) < nearest);
}

}  // namespace
}  // namespace roundel::passes
