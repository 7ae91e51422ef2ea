// Oracle: the statistics of the images at the inputs of the normalizations, in plain double loops.

#include "lib/tune/synthesis.h"

#include <cmath>

#include "tests/lib/engine/engine_test_support.h"

namespace roundel::tune {
namespace {

using engine::MustCreate;
using engine::MustRun;
using support::ParseModel;

constexpr char kNet[] = R"(opset 13
graph g (float32[N,3,8,8] x) => (float32[N,4,4,4] y) {
  float32[5,3,3,3] w1 = random(1)
  float32[5] s1 = {1, 0.5, 2, 1, 1}
  float32[5] b1 = random(3)
  float32[5] m1 = {0.5, -0.4, 0.2, 0, 0.3}
  float32[5] v1 = {2, 1, 3, 0.5, 1}
  float32[4,5,2,2] w2 = random(5)
  float32[4] s2 = {1, 1, 1, 1}
  float32[4] b2 = random(6)
  float32[4] m2 = {0.4, 0, -0.5, 0.1}
  float32[4] v2 = {1, 2, 0.7, 1}
  c1 = Conv<pads=[1,1,1,1]>(x, w1)
  n1 = BatchNormalization(c1, s1, b1, m1, v1)
  r1 = Relu(n1)
  c2 = Conv<strides=[2,2]>(r1, w2)
  n2 = BatchNormalization(c2, s2, b2, m2, v2)
  y = Relu(n2)
})";

// Mean over channels of ((m - mu)^2 + (s - sigma)^2) / sigma^2.
double Distance(const Tensor& value, const std::vector<double>& means,
                const std::vector<double>& variances) {
  const int64_t channels = value.dim(1), inner = value.dim(2) * value.dim(3);
  double total = 0;
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0, count = 0;
    for (int64_t n = 0; n < value.dim(0); ++n)
      for (int64_t i = 0; i < inner; ++i, ++count) {
        const double v = value.data<float>()[(n * channels + c) * inner + i];
        sum += v;
        squares += v * v;
      }
    const double mean = sum / count, variance = squares / count - mean * mean;
    const double wanted = variances[static_cast<size_t>(c)] + 1e-5;
    const double off = mean - means[static_cast<size_t>(c)],
                 spread = std::sqrt(variance + 1e-5) - std::sqrt(wanted);
    total += (off * off + spread * spread) / wanted;
  }
  return total / static_cast<double>(channels);
}

double DistanceOf(const graph::Model& model, const Synthesized& made) {
  const auto executor = MustCreate(model, {.fast_kernels = false, .outputs = {"c1", "c2"}});
  double total = 0;
  for (const Tensor& images : made.batches) {
    const std::vector<Tensor> values = MustRun(*executor, {images});
    total += Distance(values[0], {0.5, -0.4, 0.2, 0, 0.3}, {2, 1, 3, 0.5, 1}) / 2;
    total += Distance(values[1], {0.4, 0, -0.5, 0.1}, {1, 2, 0.7, 1}) / 2;
  }
  return total / static_cast<double>(made.batches.size());
}

TEST_CASE("made images have the statistics that normalizations remember") {
  const graph::Model model = ParseModel(kNet);
  SynthesisOptions options{.samples = 20, .batch = 8, .seed = 3, .low = -2, .high = 3};
  REQUIRE(WhyNoSynthesis(model, options).empty());
  const auto made = Synthesize(model, options);
  INFO(made.status().message());
  REQUIRE(made.ok());
  REQUIRE(made->batches.size() == 3);
  CHECK(made->batches[2].shape() == Shape{4, 3, 8, 8});
  CHECK(made->loss_after < 0.3 * made->loss_before);
  // The loss is that of the images before the last step, which is short.
  CHECK(DistanceOf(model, *made) == Approx(made->loss_after).epsilon(0.05));
  for (const Tensor& images : made->batches)
    for (int64_t i = 0; i < images.size(); ++i) {
      CHECK(images.data<float>()[i] >= -2);
      CHECK(images.data<float>()[i] <= 3);
    }
  const auto again = Synthesize(model, options);
  REQUIRE(again.ok());
  CHECK(again->batches == made->batches);
  options.seed = 4;
  CHECK(Synthesize(model, options)->batches != made->batches);
}

TEST_CASE("models without statistics or without an image input are refused with the reason") {
  const auto why = [](const char* text) { return WhyNoSynthesis(ParseModel(text), {}); };
  CHECK(why("opset 13\ngraph g (float32[N,3,8,8] x) => (float32[N,3,8,8] y) { y = Relu(x) }")
            .find("BatchNormalization") != std::string::npos);
  CHECK(why("opset 13\ngraph g (float32[N,3,H,W] x) => (float32[N,3,H,W] y) { y = Relu(x) }")
            .find("give crop") != std::string::npos);
  const auto open = ParseModel(
      "opset 13\ngraph g (float32[N,2,H,W] x) => (float32[N,2,H,W] y) {\n"
      "float32[2] s = {1, 1}\nfloat32[2] b = {0, 0}\nfloat32[2] m = {0.2, 0.7}\nfloat32[2] v = "
      "{0.02, 0.01}\n"
      "y = BatchNormalization(x, s, b, m, v) }");
  const auto made = Synthesize(open, {.samples = 2, .height = 5, .width = 7});
  REQUIRE(made.ok());
  CHECK(made->batches[0].shape() == Shape{2, 2, 5, 7});
  CHECK(why("opset 13\ngraph g (float32[N,8] x) => (float32[N,8] y) { y = Relu(x) }")
            .find("four axes") != std::string::npos);
  CHECK(why("opset 13\ngraph g (int64[N,3,8,8] x) => (int64[N,3,8,8] y) { y = Neg(x) }")
            .find("float32") != std::string::npos);
  CHECK(why("opset 13\ngraph g (float32[N,8] x, float32[N,8] z) => (float32[N,8] y) "
            "{ y = Add(x, z) }")
            .find("one input") != std::string::npos);
  CHECK(!Synthesize(ParseModel("opset 13\ngraph g (float32[N,3,8,8] x) => (float32[N,3,8,8] y) "
                               "{ y = Relu(x) }"),
                    {})
             .ok());
}

}  // namespace
}  // namespace roundel::tune
