// Oracle: every candidate tried on the data itself, in double.

#include <algorithm>
#include <cmath>

#include "tests/support/layerwise.h"

namespace roundel::passes {
namespace {

using support::CorrelatedSource;
using support::kManyLayers;
using support::OutputError;
using support::Round;
using support::RoundedOptions;
using support::VectorSource;

constexpr char kLayer[] = R"(opset 13
  graph g (float32[N,7] x) => (float32[N,5] y) {
    float32[7,5] w = random(1)
    y = MatMul(x, w)
  })";

// The scale among 20 for which the mean |error|^power is least, summed over outputs [out, end),
// each of inputs [first, last).
struct Piece {
  int64_t out, end, first, last;
};
float BestScale(VectorSource* data, const Tensor& w, Piece p, int power) {
  float largest = 0, chosen = 0;
  for (int64_t i = p.first; i < p.last; ++i)
    for (int64_t o = p.out; o < p.end; ++o)
      largest = std::max(largest, std::fabs(w.data<float>()[i * 5 + o]));
  double best = 1e30;
  for (int k = 1; k <= 20; ++k) {
    const auto scale = static_cast<float>(static_cast<double>(largest) * k / 20 / 7);
    double error = 0;
    REQUIRE(data->Rewind().ok());
    while (const auto batch = data->Next().value())
      for (int64_t s = 0; s < batch->size; ++s)
        for (int64_t o = p.out; o < p.end; ++o) {
          double e = 0;
          for (int64_t i = p.first; i < p.last; ++i) {
            const double v = w.data<float>()[i * 5 + o];
            const double q = std::clamp(std::nearbyint(v / static_cast<double>(scale)), -7.0, 7.0);
            e += (q * scale - v) * batch->inputs[0].data<float>()[s * 7 + i];
          }
          error += std::pow(std::fabs(e), power);
        }
    if (error < best) best = error, chosen = scale;
  }
  return chosen;
}

TEST_CASE("the candidate with the least output error is chosen") {
  VectorSource data = CorrelatedSource({32, 7}, 4, 3, true);
  for (const char* loss : {"mse", "sqnr", "l1"}) {
    INFO(loss);
    const int power = loss[0] == 'l' ? 1 : 2;
    const auto r = Round(kLayer, "seq_mse", &data, {.params = {{"held_out", "0"}, {"loss", loss}}});
    const Tensor& w = *r->before.graph->Constant("w");
    for (int64_t o = 0; o < 5; ++o)
      CHECK(r->Weight("w").params[static_cast<size_t>(o)].scale ==
            Approx(BestScale(&data, w, {o, o + 1, 0, 7}, power)).epsilon(1e-5));
    RoundedOptions blocks{.granularity = quant::Granularity::kBlock, .block_size = 3};
    blocks.params = {{"held_out", "0"}, {"loss", loss}};
    const auto b = Round(kLayer, "seq_mse", &data, blocks);
    for (int64_t block = 0; block < 3; ++block)
      for (int64_t o = 0; o < 5; ++o)
        CHECK(b->Weight("w").params[static_cast<size_t>(block * 5 + o)].scale ==
              Approx(BestScale(&data, w, {o, o + 1, 3 * block, std::min<int64_t>(7, 3 * block + 3)},
                               power))
                  .epsilon(1e-5));
    const auto whole = Round(kLayer, "seq_mse", &data,
                             {.granularity = quant::Granularity::kTensor,
                              .params = {{"held_out", "0"}, {"loss", loss}}});
    CHECK(whole->Weight("w").params[0].scale ==
          Approx(BestScale(&data, w, {0, 5, 0, 7}, power)).epsilon(1e-5));
  }
}

TEST_CASE("all choices of inputs run on layers of all kinds, and help") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 8, 3);
  const double nearest = OutputError(*Round(kManyLayers, "", &data), &data);
  for (const char* inputs : {"symqt", "symfp", "asym"})
    CHECK(OutputError(*Round(kManyLayers, "seq_mse", &data, {.params = {{"inputs", inputs}}}),
                      &data) < nearest);
  CHECK(OutputError(*Round(kManyLayers, "seq_mse", &data, {.params = {{"loss", "l1"}}}), &data) <
        nearest);
}

}  // namespace
}  // namespace roundel::passes
