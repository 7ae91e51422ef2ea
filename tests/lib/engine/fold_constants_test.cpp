#include "lib/engine/fold_constants.h"

#include "lib/base/text.h"
#include "lib/engine/normal_form.h"
#include "lib/graph/check.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

graph::Model Read(const std::string& text) {
  auto model = graph::Parse(text);
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  REQUIRE(graph::CheckModel(&*model).ok());
  return std::move(*model);
}

graph::Model Folded(const std::string& inputs, const std::string& body, int opset = 17) {
  graph::Model model = Read(StrCat("opset ", opset, ", com.microsoft 1\ngraph g (", inputs,
                                   ") => (float32 y) {\n", body, "}\n"));
  const auto folded = FoldConstants(&model);
  REQUIRE(folded.ok());
  const Status valid = graph::CheckModel(&model);
  INFO(valid.message());
  REQUIRE(valid.ok());
  return model;
}

std::string Ops(const graph::Graph& graph) {
  std::vector<std::string> types;
  for (const graph::NodePtr& node : graph.nodes()) types.push_back(node->op_type);
  return Join(types, " ");
}

// The value of the second input of the node that computes y.
const Tensor& Operand(const graph::Model& model) {
  const Tensor* value = model.graph->Constant(model.graph->Producer("y")->input(1));
  REQUIRE(value != nullptr);
  return *value;
}

TEST_CASE("readers of a copied constant read the constant") {
  const graph::Model model = Folded("float32[2] x", R"(
    float32[2] w = {1, 2}
    a = Identity(w)
    b = Identity(a)
    t = Add(x, b)
    y = Mul(t, a))");
  CHECK(Ops(*model.graph) == "Add Mul");
  CHECK(model.graph->Producer("y")->input(1) == "w");
  CHECK(model.graph->initializers().size() == 1);
}

TEST_CASE("chains that lead from constants to a weight") {
  const graph::Model turned = Folded("float32[1,3] x", R"(
    float16[2,3] w = {1, 2, 3, 4, 5, 6}
    a = Transpose(w)
    b = Cast<to=1>(a)
    y = MatMul(x, b))");
  CHECK(Ops(*turned.graph) == "MatMul");
  CHECK(Operand(turned) == Tensor::FromVector<float>({3, 2}, {1, 4, 2, 5, 3, 6}));
  CHECK(turned.graph->initializers().size() == 1);

  const graph::Model shaped = Folded("float32[1,3] x", R"(
    float32[6] w = {1, 2, 3, 4, 5, 6}
    int64[1] two = {2}
    int64[1] three = {3}
    s = Concat<axis=0>(three, two)
    b = Reshape(w, s)
    y = MatMul(x, b))");
  CHECK(Ops(*shaped.graph) == "MatMul");
  CHECK(Operand(shaped) == Tensor::FromVector<float>({3, 2}, {1, 2, 3, 4, 5, 6}));
}

TEST_CASE("weight normalization and spectral normalization") {
  // g * v / |v| of each row; |(3, 4)| = 5, |(6, 8)| = 10.
  const graph::Model rows = Folded("float32[1,2] x", R"(
    float32[2,2] v = {3, 4, 6, 8}
    float32[2,1] g = {5, 20}
    n = ReduceL2<axes=[1], keepdims=1>(v)
    d = Div(v, n)
    w = Mul(d, g)
    y = Gemm<transB=1>(x, w))");
  CHECK(Ops(*rows.graph) == "Gemm");
  const Tensor& w = Operand(rows);
  const std::vector<float> wanted = {3, 4, 12, 16};
  for (size_t i = 0; i < wanted.size(); ++i)
    CHECK(w.data<float>()[i] == Approx(wanted[i]).epsilon(1e-6));

  // sigma = u^T W v = 2 * 4 = 8.
  const graph::Model spectral = Folded("float32[1,2] x", R"(
    float32[2,2] v = {2, 0, 0, 8}
    float32[2] u = {0, 1}
    float32[2] r = {0, 1}
    m = MatMul(v, r)
    s = MatMul(u, m)
    w = Div(v, s)
    y = Gemm<transB=1>(x, w))");
  CHECK(Operand(spectral) == Tensor::FromVector<float>({2, 2}, {0.25, 0, 0, 1}));
}

TEST_CASE("what stays a node") {
  const std::string weight = "    float32[2] w = {1, 2}\n";
  const auto ops = [&](const std::string& nodes) {
    return Ops(*Folded("float32[2] x", weight + nodes).graph);
  };
  SECTION("random operators") {
    CHECK(ops("    r = RandomNormalLike(w)\n    y = Add(x, r)\n") == "RandomNormalLike Add");
    CHECK(ops("    r = RandomNormal<shape=[2]>()\n    y = Add(x, r)\n") == "RandomNormal Add");
  }
  SECTION("quantizers") {
    CHECK(ops("    float32[] s = {0.5}\n    uint8[] z = {0}\n    q = QuantizeLinear(w, s, z)\n"
              "    d = DequantizeLinear(q, s, z)\n    y = Add(x, d)\n") ==
          "QuantizeLinear DequantizeLinear Add");
  }
  SECTION("operators of other domains") {
    CHECK(ops("    r = com.microsoft.Gelu(w)\n    y = Add(x, r)\n") == "Gelu Add");
  }
  SECTION("what makes an output of the graph") { CHECK(ops("    y = Neg(w)\n") == "Neg"); }
  SECTION("what cannot be run") {
    CHECK(ops("    r = Reshape(w, w)\n    y = Add(x, r)\n") == "Reshape Add");
  }
}

TEST_CASE("constants do not grow much") {
  const auto ops = [](const std::string& shape) {
    return Ops(*Folded("float32[2] x", StrCat(R"(
      float32[1] w = {1}
      int64[2] s = {)",
                                              shape, R"(}
      e = Expand(w, s)
      y = Add(x, e))"))
                    .graph);
  };
  CHECK(ops("8, 2") == "Add");
  CHECK(ops("100000, 2") == "Expand Add");
  // Not by small steps either.
  CHECK(Ops(*Folded("float32[2] x", R"(
    int64[1] n = {4000}
    int64[1] four = {4}
    a = ConstantOfShape(n)
    b = Tile(a, four)
    c = Tile(b, four)
    d = Tile(c, four)
    y = Mul(x, d))")
                 .graph) == "Tile Tile Mul");
}

TEST_CASE("sub-graphs fold what they and the graphs around them hold") {
  const graph::Model model = Folded("bool c, float32[1,2] x", R"(
    float32[2,2] w = {1, 2, 3, 4}
    y = If<then_branch=graph t () => (float32 r) {
             a = Transpose(w)
             r = MatMul(x, a) },
           else_branch=graph e () => (float32 r) {
             float32[2] b = {1, 1}
             d = Neg(b)
             r = Mul(x, d) }>(c))");
  std::string ops;
  graph::ForEachSubgraph(*model.graph->nodes()[0],
                         [&](graph::Graph& sub) { ops += Ops(sub) + ";"; });
  CHECK(ops == "MatMul;Mul;");
}

TEST_CASE("nodes that compute the same share one constant") {
  const graph::Model model = Folded("float32[1,2] x", R"(
    float32[2,2] w = {1, 2, 3, 4}
    a = Transpose(w)
    b = Transpose(w)
    t = MatMul(x, a)
    y = MatMul(t, b))");
  CHECK(Ops(*model.graph) == "MatMul MatMul");
  CHECK(model.graph->initializers().size() == 1);

  const graph::Model branches = Folded("bool c, float32[1,2] x", R"(
    float32[2,2] w = {1, 2, 3, 4}
    y = If<then_branch=graph t () => (float32 r) { a = Transpose(w)  r = MatMul(x, a) },
           else_branch=graph e () => (float32 r) { b = Transpose(w)  r = Mul(x, b) }>(c))");
  REQUIRE(branches.graph->initializers().size() == 1);
  CHECK(branches.graph->initializers()[0].value == Tensor::FromVector<float>({2, 2}, {1, 3, 2, 4}));
  graph::ForEachSubgraph(*branches.graph->nodes()[0], [&](graph::Graph& sub) {
    CHECK(sub.initializers().empty());
    CHECK(sub.nodes().size() == 1);
  });
}

TEST_CASE("a value of a sub-graph hides the constant around it") {
  const graph::Model model = Folded("int64 n, bool c, float32[2] x", R"(
    float32[2] w = {1, 2}
    z = Add(x, w)
    y = Loop<body=graph b (int64 i, bool go, float32[2] w) => (bool again, float32[2] next) {
               again = Identity(go)
               t = Neg(w)
               next = Abs(t) }>(n, c, z))");
  graph::ForEachSubgraph(*model.graph->Producer("y"),
                         [&](graph::Graph& sub) { CHECK(Ops(sub) == "Identity Neg Abs"); });
}

TEST_CASE("the normal form says which inputs became constants, or keeps them") {
  const std::string text = R"(
    opset 13
    ir_version 8
    graph g (float32[1,2] x, float32[2,2] w) => (float32 y) {
      float32[2,2] w = {1, 2, 3, 4}
      y = MatMul(x, w)
    })";
  graph::Model model = Read(text);
  const auto lines = MakeNormalForm(&model);
  REQUIRE(lines.ok());
  REQUIRE(lines->size() == 1);
  CHECK(lines->front().find("w") != std::string::npos);
  CHECK(lines->front().find("--keep-initializer-inputs") != std::string::npos);
  CHECK(model.graph->Constant("w") != nullptr);

  graph::Model kept = Read(text);
  const auto none = MakeNormalForm(&kept, {.keep_initializer_inputs = true});
  REQUIRE(none.ok());
  CHECK(none->empty());
  CHECK(kept.graph->inputs.size() == 2);
}

}  // namespace
}  // namespace roundel::engine
