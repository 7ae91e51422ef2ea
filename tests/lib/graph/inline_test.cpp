#include "lib/graph/inline.h"

#include "lib/base/text.h"
#include "lib/graph/check.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace roundel::graph {
namespace {

Model Read(const std::string& text) {
  auto model = Parse(text);
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  return std::move(*model);
}

Model Inlined(const std::string& text) {
  Model model = Read(text);
  REQUIRE(CheckModel(&model).ok());
  const Status status = InlineFunctions(&model);
  INFO(status.message());
  REQUIRE(status.ok());
  CHECK(model.functions.empty());
  const Status valid = CheckModel(&model);
  INFO(valid.message() << "\n" << Print(model));
  REQUIRE(valid.ok());
  return model;
}

// The statements of the graph, without indentation.
std::string Body(const Model& model) {
  std::string text;
  for (const std::string& line : Split(Print(model), '\n'))
    if (line.starts_with("  ")) text += std::string(Trim(line)) + "\n";
  return text;
}

TEST_CASE("a call becomes the body, inputs and outputs under the names of the call") {
  const Model model = Inlined(R"(
    opset 17, local 1
    function local.Block(a, w) => (b) { opset 17  [c] t = Conv(a, w)  b = Relu(t) }
    graph g (float32[1,3,8,8] x, float32[4,3,1,1] w) => (float32 y) {
      [first] y = local.Block(x, w)
    })");
  CHECK(Body(model) == "[first/c] first/t = Conv(x, w)\ny = Relu(first/t)\n");
  CHECK(model.Opset("local") == 0);
}

TEST_CASE("calls of one function do not share values") {
  const Model model = Inlined(R"(
    opset 17, local 1
    function local.F(a) => (b) { opset 17  t = Abs(a)  b = Neg(t) }
    graph g (float32[2] x) => (float32 y) {
      float32[2] F/t = {1, 2}
      u = local.F(x)
      v = local.F(u)
      y = Add(v, F/t)
    })");
  CHECK(Body(model) ==
        "float32[2] F/t = {1, 2}\nF/t_1 = Abs(x)\nu = Neg(F/t_1)\nF_1/t = Abs(u)\n"
        "v = Neg(F_1/t)\ny = Add(v, F/t)\n");
}

TEST_CASE("functions call functions and hand attributes on") {
  const Model model = Inlined(R"(
    opset 17, local 1
    function local.Inner<slope>(a) => (b) { opset 17  b = LeakyRelu<alpha=@slope>(a) }
    function local.Outer<angle>(a) => (b) { opset 17, local 1  b = local.Inner<slope=@angle>(a) }
    graph g (float32[2] x) => (float32 y, float32 z) {
      y = local.Outer<angle=0.25>(x)
      z = local.Outer(x)
    })");
  CHECK(Body(model) == "y = LeakyRelu<alpha=0.25>(x)\nz = LeakyRelu(x)\n");
}

TEST_CASE("an attribute that a call leaves out has the function's default") {
  const Model model = Inlined(R"(
    opset 17, local 1
    function local.F<slope=0.5>(a) => (b) { opset 17  b = LeakyRelu<alpha=@slope>(a) }
    graph g (float32[2] x) => (float32 y, float32 z) {
      y = local.F(x)
      z = local.F<slope=0.25>(x)
    })");
  CHECK(Body(model) == "y = LeakyRelu<alpha=0.5>(x)\nz = LeakyRelu<alpha=0.25>(x)\n");
}

TEST_CASE("inputs and outputs may be left out, and an input may be an output") {
  const Model model = Inlined(R"(
    opset 17, local 1
    function local.F(a, low, high) => (b, c, a) { opset 17  b = Clip(a, low, high)  c = Neg(b) }
    graph g (float32[2] x, float32 h) => (float32 y, float32 z) {
      y, "", z = local.F(x, "", h)
    })");
  CHECK(Body(model) == "y = Clip(x, \"\", h)\nF/c = Neg(y)\nz = Identity(x)\n");
}

TEST_CASE("calls inside of sub-graphs, and sub-graphs inside of functions") {
  const Model model = Inlined(R"(
    opset 17, local 1
    function local.F(a) => (b) { opset 17  b = Neg(a) }
    function local.G(c, a) => (b) {
      opset 17, local 1
      s = Abs(a)
      b = If<then_branch=graph t () => (float32 r) { m = local.F(s)  r = Add(m, a) },
             else_branch=graph e () => (float32 r) { r = Neg(s) }>(c)
    }
    graph g (bool c, float32[2] s) => (float32 y) {
      y = local.G(c, s)
    })");
  const Node& node = *model.graph->nodes()[1];
  REQUIRE(node.Is("If"));
  CHECK(Body(model).find("G/s = Abs(s)") != std::string::npos);
  ForEachSubgraph(node, [&](Graph& sub) {
    CHECK(sub.outputs[0].name.starts_with("G/r"));
    CHECK(OuterReads(node) == std::vector<std::string>{"G/s", "s"});
    for (const NodePtr& inner : sub.nodes()) CHECK(inner->domain.empty());
  });
}

TEST_CASE("functions of another opset meet the model's at the newest") {
  const Model model = Inlined(R"(
    opset 12, local 1
    function local.F(a) => (b) { opset 17  b = LayerNormalization(a, a) }
    graph g (float32[2,3] x) => (float32 y) {
      t = Squeeze<axes=[0]>(x)
      y = local.F(t)
    })");
  CHECK(model.Opset() == 17);
  CHECK(model.graph->nodes()[0]->inputs.size() == 2);  // axes are an input from 13 on
}

TEST_CASE("a function without an end is an error, and the model stays as it was") {
  Model model = Read(R"(
    opset 17, local 1
    function local.F(a) => (b) { opset 17, local 1  b = local.F(a) }
    graph g (float32[2] x) => (float32 y) { y = local.F(x) })");
  const std::string before = Print(model);
  CHECK_FALSE(InlineFunctions(&model).ok());
  CHECK(Print(model) == before);
}

}  // namespace
}  // namespace roundel::graph
