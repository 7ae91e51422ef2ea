#include "lib/graph/bodies.h"

#include "lib/graph/check.h"
#include "lib/graph/text.h"
#include "lib/graph/value_types.h"
#include "tests/support/catch.h"
#include "tests/support/parse_model.h"

namespace roundel::graph {
namespace {

Model ParseChecked(const std::string& text) {
  Model model = support::ParseModel(text);
  const Status valid = CheckModel(&model);
  INFO(valid.message());
  REQUIRE(valid.ok());
  return model;
}

// Initializers in bodies, values from outside, states, bodies in bodies.
constexpr const char* kNested = R"(opset 17
graph g (float32[2,4] x, bool c, int64 n) => (float32[2,4] y, float32[?,2,4] all) {
  float32[4,4] w = random(1)
  a = MatMul(x, w)
  m, all = Loop<body=graph body (int64 i, bool go, float32[2,4] s) => (bool go2, float32[2,4] s2, float32[2,4] out) {
      float32[4,4] v = random(2)
      go2 = Identity(go)
      r = If<then_branch=graph t () => (? p) {
            float32[4] bias = {1, 2, 3, 4}
            q = MatMul(s, v)
            p = Add(q, bias)
          }, else_branch=graph e () => (? u) { u = MatMul(a, w) }>(go)
      s2 = Tanh(r)
      out = Neg(s)
    }>(n, c, a)
  y = If<then_branch=graph t2 () => (float32[2,4] k) { k = Relu(m) },
         else_branch=graph e2 () => (float32[2,4] l) { l = Identity(m) }>(c)
})";

TEST_CASE("bodies laid out and put back are what they were") {
  const Model before = ParseChecked(kNested);
  Model model = Clone(before);
  const Bodies bodies = FlattenBodies(&model);
  CHECK(bodies.bodies.size() == 5);
  CHECK_FALSE(HasBodies(*model.graph));
  for (const char* value : {"q", "p", "u", "s2", "k", "l"}) {
    INFO(value);
    CHECK(model.graph->Producer(value));
  }
  CHECK(model.graph->Constant("v"));
  CHECK(model.graph->Uses("w").size() == 2);
  // What runs a body comes behind it, and reads what it gives.
  CHECK(model.graph->Uses("p")[0].node == model.graph->Producer("r"));
  CHECK(model.graph->Producer("s")->domain == kBodyDomain);
  RestoreBodies(bodies, &model);
  CHECK(Print(model) == Print(before));
}

TEST_CASE("values of bodies side by side get names of their own, those of the interface stay") {
  Model model = ParseChecked(R"(opset 17
graph g (float32[2,4] x, bool c) => (float32[2,4] y) {
  h = Abs(x)
  y = If<then_branch=graph t () => (? o) {
      float32[4] b = ones
      h2 = Relu(h)
      o = Add(h2, b)
    }, else_branch=graph e () => (? o) {
      float32[4] b = zeros
      h2 = Neg(h)
      o = If<then_branch=graph t1 () => (? i) { i = Add(h2, b) },
             else_branch=graph e1 () => (? i) { i = Sub(h2, b) }>(c)
    }>(c)
})");
  MakeNamesUnique(&model);
  const std::string expected = R"(opset 17
graph g (float32[2,4] x, bool c) => (float32[2,4] y) {
  h = Abs(x)
  y = If<then_branch=graph t () => (? o) {
      float32[4] b = ones
      h2 = Relu(h)
      o = Add(h2, b)
    }, else_branch=graph e () => (? o_1) {
      float32[4] b_1 = zeros
      h2_1 = Neg(h)
      o_1 = If<then_branch=graph t1 () => (? i) { i = Add(h2_1, b_1) },
               else_branch=graph e1 () => (? i_1) { i_1 = Sub(h2_1, b_1) }>(c)
    }>(c)
})";
  CHECK(Print(model) == Print(ParseChecked(expected)));
}

TEST_CASE("what comes into a flat graph goes into the bodies that read it") {
  Model model = ParseChecked(kNested);
  const Bodies bodies = FlattenBodies(&model);
  Graph& flat = *model.graph;
  flat.SetInitializer("codes", Tensor::Zeros(DType::kInt8, {4, 4}));
  flat.SetInitializer("scale", Tensor::Scalar(1.0f));
  const Node* first = flat.Producer("q");
  flat.InsertBefore(
      first, {.op_type = "DequantizeLinear", .inputs = {"codes", "scale"}, .outputs = {"v_DQ"}});
  flat.SetInput(flat.Producer("q"), 1, "v_DQ");
  flat.InsertBefore(flat.Producer("s2"), {.op_type = "Abs", .inputs = {"r"}, .outputs = {"r_abs"}});
  flat.SetInput(flat.Producer("s2"), 0, "r_abs");
  RestoreBodies(bodies, &model);
  REQUIRE(CheckModel(&model).ok());
  const Graph& loop = *std::get<GraphPtr>(model.graph->Producer("m")->FindAttribute("body")->value);
  const Graph& branch =
      *std::get<GraphPtr>(loop.Producer("r")->FindAttribute("then_branch")->value);
  CHECK(loop.Producer("r_abs"));
  CHECK(branch.Producer("v_DQ"));
  CHECK(branch.Constant("codes"));
}

TEST_CASE("marks of the flat form in a model from elsewhere mean nothing") {
  const std::string text = R"(opset 17, roundel.body 1
graph g (float32[2,4] x, bool c) => (float32[2,4] y) {
  a = roundel.body.BodyInputs<roundel.scope=7, roundel.entry=1>(x)
  b = Relu<roundel.bodies=["then_branch"], then_branch=9>(x)
  y = If<then_branch=graph t () => (? o) { o = roundel.body.BodyInputs<roundel.scope=3>(a) },
         else_branch=graph e () => (? p) { p = Neg(b) }>(c)
})";
  Model model = ParseChecked(text);
  const Bodies bodies = FlattenBodies(&model);
  RestoreBodies(bodies, &model);
  REQUIRE(CheckModel(&model).ok());
  CHECK(model.graph->Producer("a"));
  CHECK(HasBodies(*model.graph));
}

TEST_CASE("a value_info without a type is completed for the flat graph") {
  Model model = ParseChecked(R"(opset 17
graph g (float32[2,4] x, bool c) => (? y) {
  ? [2,4] m
  m = If<then_branch=graph t () => (? o) { o = Relu(x) },
         else_branch=graph e () => (? p) { p = Neg(x) }>(c)
  y = Abs(m)
})");
  FlattenBodies(&model);
  CHECK(InferValueTypes(model).at("m") == DType::kFloat);
}

TEST_CASE("weights that only floats meet are dequantized around the loop, others inside") {
  for (const char* op : {"Conv", "MatMul"}) {
    INFO(op);
    Model model = ParseChecked(R"(opset 17
graph g (float32[2,2,1] x, int64 n) => (? y) {
  bool[] yes = {1}
  y = Loop<body=graph l (int64 i, bool go, ? s) => (bool go2, ? s2) {
      float32[2,2,1] w = {1, 2, 3, 4}
      go2 = Identity(go)
      s2 = )" + std::string(op) +
                               R"((s, w)
    }>(n, yes, x)
})");
    const Bodies bodies = FlattenBodies(&model);
    Graph& flat = *model.graph;
    flat.SetInitializer("codes", Tensor::Zeros(DType::kInt8, {2, 2, 1}));
    flat.SetInitializer("scale", Tensor::Scalar(1.0f));
    flat.InsertBefore(
        flat.Producer("s2"),
        {.op_type = "DequantizeLinear", .inputs = {"codes", "scale"}, .outputs = {"w_DQ"}});
    flat.SetInput(flat.Producer("s2"), 1, "w_DQ");
    RestoreBodies(bodies, &model);
    REQUIRE(CheckModel(&model).ok());
    CHECK((model.graph->Producer("w_DQ") != nullptr) == (op == std::string("Conv")));
    CHECK((model.graph->FindInitializer("codes") != nullptr) == (op == std::string("Conv")));
  }
}

// Codes next to codes are read in each body through a node of its own, weights beside floats once.
TEST_CASE("constants that bodies have alike are kept once") {
  Model model = ParseChecked(R"(opset 17
graph g (float32[2,32] x, bool c) => (float32[2,32] y) {
  y = If<then_branch=graph t () => (? o) {
      float32[32,32] w = random(3)
      o = MatMul(x, w)
    }, else_branch=graph e () => (? p) {
      float32[32,32] v = random(3)
      float32[32,32] other = random(4)
      q = MatMul(x, v)
      p = MatMul(q, other)
    }>(c)
})");
  const Bodies bodies = FlattenBodies(&model);
  RestoreBodies(bodies, &model);
  REQUIRE(CheckModel(&model).ok());
  CHECK(model.graph->initializers().size() == 1);
  const Node& node = *model.graph->Producer("y");
  const Graph& t = *std::get<GraphPtr>(node.FindAttribute("then_branch")->value);
  const Graph& e = *std::get<GraphPtr>(node.FindAttribute("else_branch")->value);
  CHECK(t.initializers().empty());
  REQUIRE(e.initializers().size() == 1);
  CHECK(e.initializers()[0].name == "other");
  CHECK(t.Producer("o")->input(1) == e.Producer("q")->input(1));
}

}  // namespace
}  // namespace roundel::graph
