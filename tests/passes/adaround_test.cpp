#include <cmath>

#include "lib/base/parallel.h"
#include "tests/support/layerwise.h"

namespace roundel::passes {
namespace {

using support::CorrelatedSource;
using support::kManyLayers;
using support::OutputError;
using support::Round;
using support::RoundedOptions;
using support::VectorSource;

RoundedOptions Learn(const std::string& objective) {
  return {.params = {{"objective", objective}, {"iterations", "400"}, {"batch", "128"}}};
}

TEST_CASE("learned rounding goes down or up, and beats nearest") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 8, 3);
  const auto nearest = Round(kManyLayers, "", &data);
  for (const char* objective : {"gram", "sampled"}) {
    INFO(objective);
    const auto learned = Round(kManyLayers, "adaround", &data, Learn(objective));
    CHECK(OutputError(*learned, &data) < 0.7 * OutputError(*nearest, &data));
    for (const char* w : {"w1", "w2", "w4", "w5", "w6"}) {
      const quant::Encoding& e = learned->Weight(w);
      CHECK(e.params == nearest->Weight(w).params);
      if (std::string(objective) == "gram") continue;  // rounds the target, not the weight
      const Tensor& weight = *learned->before.graph->Constant(w);
      for (int64_t i = 0; i < weight.size(); ++i) {
        const auto p = e.params[static_cast<size_t>(e.ParamIndex(weight.shape(), i))];
        const double level = weight.data<float>()[i] / static_cast<double>(p.scale);
        CHECK(std::fabs(learned->Code(w, i) - level) < 1.001);
      }
    }
  }
}

TEST_CASE("an activation behind the layer counts when mini-batches are sampled") {
  // Most outputs are cut off: only the others matter.
  const char* net = R"(opset 13
    graph g (float32[N,8] x) => (float32[N,4] y) {
      float32[8,4] w = random(1)
      float32[4] b = {-2, -2, -2, -2}
      h = Gemm(x, w, b)
      y = Relu(h)
    })";
  VectorSource data = CorrelatedSource({64, 8}, 4, 3, true);
  RoundedOptions options = Learn("sampled");
  options.grid.bits = 3;
  options.params["correct_bias"] = "false";
  options.params["iterations"] = "3000";
  options.params["learning_rate"] = "0.003";
  const double learned = OutputError(*Round(net, "adaround", &data, options), &data);
  RoundedOptions plain;
  plain.grid.bits = 3;
  CHECK(learned < OutputError(*Round(net, "", &data, plain), &data));
}

TEST_CASE("the same seed gives the same codes on any number of threads") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 4, 3);
  const int before = Threads();
  RoundedOptions options = Learn("sampled");
  options.params["iterations"] = "50";
  SetThreads(1);
  const auto one = Round(kManyLayers, "adaround", &data, options);
  SetThreads(3);
  const auto three = Round(kManyLayers, "adaround", &data, options);
  SetThreads(before);
  for (const char* w : {"w1", "w2", "w3", "w4", "w5", "w6"})
    CHECK(*one->Weight(w).codes == *three->Weight(w).codes);
}

TEST_CASE("the recipe's seed chooses the mini-batches") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 4, 3);
  RoundedOptions options = Learn("sampled");
  options.params["iterations"] = "50";
  const auto codes = [&](uint64_t seed) {
    options.seed = seed;
    std::vector<int64_t> all;
    const auto made = Round(kManyLayers, "adaround", &data, options);
    for (const char* w : {"w1", "w2", "w3", "w4", "w5", "w6"})
      for (const int64_t code : made->Weight(w).codes->ToInt64s()) all.push_back(code);
    return all;
  };
  const std::vector<int64_t> first = codes(1);
  CHECK(first == codes(1));
  CHECK(first != codes(2));
}

}  // namespace
}  // namespace roundel::passes
