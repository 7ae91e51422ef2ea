#include "lib/targets/score_values.h"

#include <limits>

#include "lib/graph/text.h"
#include "tests/support/catch.h"
#include "tests/support/parse_model.h"

namespace roundel::target {
namespace {

graph::Model Parse(const std::string& nodes, const std::string& outputs = "float32[N,4] y") {
  return support::ParseModel(
      "opset 13\ngraph g (float32[N,4] x, float32[N,4] m, bool[N,4] c) => (" + outputs +
      ") {\nfloat32[] low = {-1e9}\nfloat32[] two = {2}\nint64[2] shape = {-1, 4}\n" + nodes +
      "\n}");
}

}  // namespace

TEST_CASE(
    "what reaches a Softmax by adding, choosing, scaling and moving is found with its factor") {
  const graph::Model model = Parse(R"(
  n = Mul(m, low)
  s = Add(x, n)
  t = Div(s, two)
  r = Reshape(t, shape)
  y = Softmax(r))");
  const ScoreValues values(*model.graph);
  for (const char* value : {"x", "m", "n", "s", "t", "r", "low"}) CHECK(values.Contains(value));
  CHECK_FALSE(values.Contains("y"));
  CHECK(values.SinksOf("r").at("r").factor == 1);
  CHECK_FALSE(values.SinksOf("s").at("r").added);
  CHECK(values.SinksOf("n").at("r").factor == 0.5);
  CHECK(values.SinksOf("n").at("r").added);
  CHECK(values.SinksOf("m").at("r").factor == Approx(-0.5e9));
  const auto masked = values.MaskedBy({});
  CHECK(masked == std::set<std::string>{"n", "s", "t", "r"});
}

TEST_CASE("values that anything else reads are no scores") {
  for (const char* more : {"z = Tanh(s)", "z = Identity(s)", "q = Relu(s)\n z = Neg(q)"}) {
    INFO(more);
    const graph::Model model = Parse(std::string("s = Add(x, m)\n y = Softmax(s)\n") + more,
                                     "float32[N,4] y, float32[N,4] z");
    const ScoreValues values(*model.graph);
    CHECK_FALSE(values.Contains("s"));
    CHECK_FALSE(values.Contains("x"));
  }
  const graph::Model chosen = Parse("s = Where(c, x, low)\n y = LogSoftmax(s)");
  CHECK(ScoreValues(*chosen.graph).Contains("low"));
  CHECK_FALSE(ScoreValues(*chosen.graph).Contains("c"));
}

TEST_CASE("constants of a mask are infinite, large, or far below the others") {
  const auto is_mask = [](std::vector<float> values) {
    const auto n = std::ssize(values);
    return IsMaskConstant(Tensor::FromVector<float>({n}, values));
  };
  CHECK(is_mask({-std::numeric_limits<float>::infinity()}));
  CHECK(is_mask({0, 0, -1e4f}));
  CHECK(is_mask({0, 0.5f, -100}));
  CHECK_FALSE(is_mask({0, -8, -16, -24}));
  CHECK_FALSE(is_mask({}));
  CHECK(IsMaskConstant(Tensor::FromVector<int64_t>({1}, {-10000})));
  CHECK_FALSE(IsMaskConstant(Tensor::FromVector<int64_t>({1}, {1})));
}

}  // namespace roundel::target
