// Targets on which a residual Add runs as part of a layer: where pairs stand around it, and lint.

#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "lib/targets/fused_adds.h"
#include "lib/targets/lint.h"
#include "lib/targets/profile.h"
#include "tests/support/catch.h"
#include "tests/support/parse_model.h"

namespace roundel::target {
namespace {

using support::ParseModel;

std::string Quantized(const std::string& text) {
  const Profile profile = LoadProfile("tensorrt").value();
  const auto placement = Place(ParseModel(text), profile, DefaultChoice(profile));
  REQUIRE(placement.ok());
  std::vector<std::string> names;
  for (const QuantPoint& point : placement->points)
    if (point.role == quant::Role::kActivation) names.push_back(point.value);
  return Join(names, " ");
}

std::string Block(const std::string& rest, const std::string& output = "float32[N,4,8,8] y") {
  return "opset 13\ngraph g (float32[N,4,8,8] x) => (" + output +
         ") {\n  float32[4,4,1,1] w = ones\n  float32[1,4,1,1] c = ones\n" + rest + "}";
}

}  // namespace

TEST_CASE("an identity skip has the pair, the layer's branch has none") {
  // h is the skip connection and a layer's input, r the next layer's.
  CHECK(Quantized(Block(R"(
  a = Conv(x, w)
  h = Relu(a)
  b = Conv(h, w)
  k = Relu(b)
  d = Conv(k, w)
  s = Add(d, h)
  r = Relu(s)
  y = Conv(r, w)
)")) == "x h k r");
}

TEST_CASE("where both branches end in a layer the shorter one is the skip connection") {
  for (const char* operands : {"d, p", "p, d"}) {
    INFO(operands);
    CHECK(Quantized(Block(StrCat(R"(
  a = Conv(x, w)
  h = Relu(a)
  p = Conv(h, w)
  b = Conv(h, w)
  k = Relu(b)
  d = Conv(k, w)
  s = Add()",
                                 operands, R"()
  y = Conv(s, w)
)"))) == "x h p k s");
  }
}

TEST_CASE("a bias that is an Add of its own has no pair, and does not hide the layer") {
  CHECK(Quantized(Block(R"(
  a = Conv(x, w)
  b = Add(a, c)
  s = Add(b, x)
  y = Conv(s, w)
)")) == "x s");
}

TEST_CASE("sums without a layer of their own, and sums that no layer reads, stay float") {
  CHECK(Quantized(Block(R"(
  a = Conv(x, w)
  h = Relu(a)
  b = Conv(x, w)
  k = Relu(b)
  s = Add(h, k)
  y = Conv(s, w)
)")) == "x s");
  CHECK(Quantized(Block(R"(
  a = Conv(x, w)
  s = Add(a, x)
  y = Sqrt(s)
)")) == "x");
  // Others read the convolution's result as well: it is written out before the sum.
  CHECK(Quantized(Block(R"(
  a = Conv(x, w)
  s = Add(a, x)
  t = Conv(s, w)
  y = Mul(t, a)
)")) == "x s");
}

TEST_CASE("averages have codes on both sides between layers") {
  CHECK(Quantized(Block(R"(
  float32[4,5] v = ones
  a = Conv(x, w)
  h = Relu(a)
  m = GlobalAveragePool(h)
  f = Flatten(m)
  y = Gemm(f, v)
)",
                        "float32[N,5] y")) == "x h m f");
  CHECK(Quantized(Block(R"(
  a = Conv(x, w)
  h = Relu(a)
  y = GlobalAveragePool(h)
)",
                        "float32[N,4,1,1] y")) == "x");
}

namespace {

// Pairs on s = 1 around what is named.
std::string Pair(const std::string& from, const std::string& to) {
  return StrCat("  ", to, "_q = QuantizeLinear(", from, ", s, z)\n  ", to, " = DequantizeLinear(",
                to, "_q, s, z)\n");
}

std::vector<Violation> Faults(const std::string& rest) {
  const std::string text =
      "opset 13\ngraph g (float32[N,4,8,8] x) => (float32[N,4,8,8] y) {\n"
      "  float32[] s = {1}\n  int8[] z = {0}\n  int8[4,4,1,1] wq = ones\n"
      "  float32[1,4,1,1] c = ones\n"
      "  w = DequantizeLinear(wq, s, z)\n" +
      Pair("x", "xd") + rest + "}";
  const auto result = Lint(ParseModel(text), LoadProfile("tensorrt").value());
  INFO((result.ok() ? text : result.status().message()));
  REQUIRE(result.ok());
  return result->violations;
}

bool Names(const std::vector<Violation>& violations, const std::string& what) {
  return std::any_of(violations.begin(), violations.end(),
                     [&](const Violation& v) { return v.what.find(what) != std::string::npos; });
}

}  // namespace

TEST_CASE("lint knows the rules") {
  CHECK(Faults("  a = Conv(xd, w)\n  t = Add(a, xd)\n" + Pair("t", "td") + "  y = Conv(td, w)\n")
            .empty());
  CHECK(Names(Faults("  a = Conv(xd, w)\n" + Pair("a", "ad") + "  t = Add(ad, xd)\n" +
                     Pair("t", "td") + "  y = Conv(td, w)\n"),
              "quantizers on both branches of a residual sum"));
  // Either branch may be the one with the pair if both end in a layer.
  CHECK(Faults("  a = Conv(xd, w)\n  b = Conv(xd, w)\n" + Pair("b", "bd") + "  t = Add(a, bd)\n" +
               Pair("t", "td") + "  y = Conv(td, w)\n")
            .empty());
  CHECK(Names(Faults("  a = Conv(xd, w)\n" + Pair("a", "ad") + "  t = Add(ad, c)\n" +
                     Pair("t", "td") + "  y = Conv(td, w)\n"),
              "a quantizer between Conv and its bias"));
  const std::string pooled =
      "  a = Conv(xd, w)\n" + Pair("a", "ad") + "  p = GlobalAveragePool(ad)\n";
  CHECK(Names(Faults(pooled + "  t = Transpose<perm=[0,1,3,2]>(p)\n" + Pair("t", "td") +
                     "  y = Conv(td, w)\n"),
              "its output has no quantizer"));
  CHECK(Faults(pooled + Pair("p", "pd") + "  y = Conv(pd, w)\n").empty());
}

}  // namespace roundel::target
