// What the chains and the operators that replace them compute is compared in
// tests/e2e/normal_form_test.cpp.

#include "lib/graph/activation_idioms.h"

#include "lib/base/text.h"
#include "lib/graph/check.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace roundel::graph {
namespace {

// The statements of the nodes.
std::string Rewritten(const std::string& body, int opset = 13,
                      const std::string& outputs = "float32 y") {
  auto model = Parse(StrCat(
      "opset ", opset, "\ngraph g (float32[2,3] x, float32[2,3] z) => (", outputs,
      ") {\n  float32[] a = {0.25}\n  float32[1] one = {1}\n",
      "  float32[] zero = {0}\n  float32[] six = {6}\n  float32[] two = {2}\n", body, "\n}\n"));
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  RewriteActivationIdioms(&*model);
  const Status valid = CheckModel(&*model);
  INFO(valid.message() << "\n" << Print(*model));
  REQUIRE(valid.ok());
  std::vector<std::string> lines;
  for (const NodePtr& node : model->graph->nodes()) lines.push_back(Print(*node));
  return Join(lines, "; ");
}

TEST_CASE("chains that are a LeakyRelu") {
  const std::string leaky = "y = LeakyRelu<alpha=0.25>(x)";
  CHECK(Rewritten("m = Mul(x, a)\ny = Max(x, m)") == leaky);
  CHECK(Rewritten("m = Mul(a, x)\ny = Max(m, x)") == leaky);
  CHECK(Rewritten("c = Greater(x, zero)\nm = Mul(x, a)\ny = Where(c, x, m)") == leaky);
  CHECK(Rewritten("y = PRelu(x, a)") == leaky);
  CHECK(Rewritten("p = Relu(x)\nn = Neg(x)\nq = Relu(n)\nm = Mul(q, a)\ny = Sub(p, m)") == leaky);
  CHECK(Rewritten("p = Relu(x)\nn = Neg(x)\nq = Relu(n)\nm = Mul(q, a)\ny = Add(p, m)") ==
        "y = LeakyRelu<alpha=-0.25>(x)");
}

TEST_CASE("chains that clamp") {
  CHECK(Rewritten("y = Max(x, zero)") == "y = Relu(x)");
  CHECK(Rewritten("r = Relu(x)\ny = Min(r, six)") == "y = Clip(x, y_min, y_max)");
  CHECK(Rewritten("r = Max(zero, x)\ny = Min(r, six)") == "y = Clip(x, y_min, y_max)");
  CHECK(Rewritten("r = Min(x, six)\ny = Max(r, zero)") == "y = Clip(x, y_min, y_max)");
  CHECK(Rewritten("r = Relu(x)\ny = Min(r, six)", 10) == "y = Clip<min=0.0, max=6.0>(x)");
}

TEST_CASE("what only looks like them stays") {
  for (const char* body : {"m = Mul(x, two)\ny = Max(x, m)",  // the steeper side is the other one
                           "m = Mul(z, a)\ny = Max(x, m)",    // another value
                           "m = Mul(x, z)\ny = Max(x, m)",    // no constant
                           "y = Max(x, a)", "y = Max(x, zero, z)", "y = PRelu(x, z)",
                           "c = Greater(x, a)\nm = Mul(x, a)\ny = Where(c, x, m)",
                           "p = Relu(x)\nn = Neg(z)\nq = Relu(n)\nm = Mul(q, a)\ny = Sub(p, m)"}) {
    INFO(body);
    const std::string text = Rewritten(body);
    CHECK(text.find("LeakyRelu") == std::string::npos);
    CHECK(text.find("Clip") == std::string::npos);
    CHECK(text.find("y = Relu") == std::string::npos);
  }
}

TEST_CASE("values between that others read stay") {
  CHECK(Rewritten("m = Mul(x, a)\ny = Max(x, m)\nw = Abs(m)", 13, "float32 y, float32 w")
            .find("Max") != std::string::npos);
  CHECK(Rewritten("m = Mul(x, a)\ny = Max(x, m)", 13, "float32 y, float32 m").find("Max") !=
        std::string::npos);
}

TEST_CASE("sub-graphs are looked into") {
  const std::string text = Rewritten(
      "c = Cast<to=9>(two)\ny = If<then_branch=graph t () => (float32 r) {\n"
      "  float32[] s = {0.5}\n  m = Mul(x, s)\n  r = Max(x, m) },\n"
      "else_branch=graph e () => (float32 r) { r = Neg(x) }>(c)");
  CHECK(text.find("LeakyRelu<alpha=0.5>(x)") != std::string::npos);
}

}  // namespace
}  // namespace roundel::graph
