// The way from a signal to the logarithm of its spectrum, found by structure.

#include "lib/targets/log_spectra.h"

#include <set>
#include <string>

#include "lib/graph/text.h"
#include "lib/targets/profile.h"
#include "tests/support/catch.h"

namespace roundel::target {
namespace {

// The first outputs of the nodes that are found, in order.
std::string Found(const std::string& nodes) {
  const auto model =
      graph::Parse("opset 13\ngraph g (float32[N,1,64] x) => (float32 y) {\n" + nodes + R"(
    float32[8,1,8] re = random(1)
    float32[8,1,8] im = random(2)
    float32[4,8] bands = random(3)
    float32[8,8,1] mix = random(4)
    float32[] two = {2}
    float32[] eps = {1e-6}
  })");
  INFO(model.status().message());
  REQUIRE(model.ok());
  std::set<std::string> names;
  for (const graph::Node* node : FindLogSpectra(*model->graph)) names.insert(node->output(0));
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

TEST_CASE("squares of a transform up to the logarithm, bands between them included") {
  CHECK(Found("a = Conv(x, re)\nb = Conv(x, im)\np = Mul(a, a)\nq = Pow(b, two)\ns = Add(p, q)\n"
              "t = Add(s, eps)\nl = Log(t)\ny = Conv(l, mix)") == "a b p q s t");
  CHECK(Found("a = Conv(x, re)\np = Abs(a)\nm = MatMul(bands, p)\nc = Clip(m, eps)\ny = Log(c)") ==
        "a c m p");
  CHECK(Found("a = Conv(x, re)\np = Mul(a, a)\nm = AveragePool<kernel_shape=[3]>(p)\ny = Log(m)") ==
        "a m p");
}

TEST_CASE("stages of a transform in a row belong to it, up to what is not linear") {
  CHECK(Found("a = Conv(x, re)\nn = Neg(a)\nb = Conv(n, mix)\np = Mul(b, b)\ny = Log(p)") ==
        "a b n p");
  CHECK(Found("a = Conv(x, re)\nr = Relu(a)\nb = Conv(r, mix)\np = Mul(b, b)\ny = Log(p)") ==
        "b p");
}

TEST_CASE("logarithms of anything else are none of a spectrum") {
  CHECK(Found("a = Conv(x, re)\ns = Softmax(a)\ny = Log(s)").empty());
  CHECK(Found("a = Conv(x, re)\nr = Relu(a)\nt = Add(r, eps)\ny = Log(t)").empty());
  CHECK(Found("a = Conv(x, re)\ny = Log(a)").empty());                 // no magnitude
  CHECK(Found("p = Mul(x, x)\nt = Add(p, eps)\ny = Log(t)").empty());  // no layer
  CHECK(Found("a = Conv(x, re)\nb = Conv(x, im)\np = Mul(a, b)\ny = Log(p)").empty());
  CHECK(Found("a = Conv(x, re)\np = Mul(a, a)\ny = Sqrt(p)").empty());
}

TEST_CASE(
    "the layers of a spectrum stay float, unless the target has no floats or a rule says so") {
  const auto model = graph::Parse(R"(opset 13
graph g (float32[N,1,64] x) => (float32[N,8,57] y) {
  float32[8,1,8] re = random(1)
  float32[8,8,1] mix = random(2)
  [front] a = Conv(x, re)
  p = Mul(a, a)
  l = Log(p)
  y = Conv(l, mix)
})");
  REQUIRE(model.ok());
  const auto front_is_float = [&](const char* target, ActivationMode mode, bool rule) {
    const Profile profile = LoadProfile(target).value();
    GridChoice choice = DefaultChoice(profile);
    choice.mode = mode;
    if (rule) {
      GridRule own;
      own.node = "front";
      own.mode = mode;
      choice.rules = {own};
    }
    const auto placement = Place(*model, profile, choice);
    INFO(placement.status().message());
    REQUIRE(placement.ok());
    bool weight = false;
    for (const QuantPoint& point : placement->points) weight |= point.value == "re";
    return !weight;
  };
  for (const char* target : {"ort-cpu", "generic", "openvino", "tensorrt"})
    CHECK(front_is_float(target, ActivationMode::kStatic, false));
  CHECK_FALSE(front_is_float("qnn-htp", ActivationMode::kStatic, false));
  CHECK_FALSE(front_is_float("ort-cpu", ActivationMode::kStatic, true));
  CHECK(front_is_float("ort-cpu", ActivationMode::kDynamic, false));
  CHECK_FALSE(front_is_float("ort-cpu", ActivationMode::kFloat, false));  // weights alone
}

}  // namespace
}  // namespace roundel::target
