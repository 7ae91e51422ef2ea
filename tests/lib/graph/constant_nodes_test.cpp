#include "lib/graph/constant_nodes.h"

#include "lib/graph/check.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace roundel::graph {
namespace {

Model Converted(const std::string& text) {
  auto model = Parse(text);
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  std::set<std::string> names;
  CollectNames(*model->graph, &names);
  MakeConstantNodesInitializers(model->graph.get(), &names);
  const Status valid = CheckModel(&*model);
  INFO(valid.message());
  REQUIRE(valid.ok());
  return std::move(*model);
}

TEST_CASE("every kind of Constant node becomes an initializer") {
  const Model model = Converted(R"(
    opset 13
    graph g (float32[2] x) => (float32 y) {
      a = Constant<value=float32[2]{1, 2}>()
      b = Constant<value_float=3.0>()
      c = Constant<value_floats=[4.0, 5.0]>()
      d = Constant<value_int=6>()
      e = Constant<value_ints=[7, 8]>()
      f = Constant<value_strings=["s"]>()
      y = Custom(x, a, b, c, d, e, f)
    })");
  const Graph& graph = *model.graph;
  CHECK(graph.nodes().size() == 1);
  CHECK(*graph.FindInitializer("a") == Tensor::FromVector<float>({2}, {1, 2}));
  CHECK(*graph.FindInitializer("b") == Tensor::Scalar(3.0f));
  CHECK(*graph.FindInitializer("c") == Tensor::FromVector<float>({2}, {4, 5}));
  CHECK(*graph.FindInitializer("d") == Tensor::Scalar(int64_t{6}));
  CHECK(*graph.FindInitializer("e") == Tensor::FromVector<int64_t>({2}, {7, 8}));
  CHECK(*graph.FindInitializer("f") == Tensor::Strings({1}, {"s"}));
}

TEST_CASE("a constant that is an output stays, and its readers read an initializer") {
  const Model model = Converted(R"(
    opset 13
    graph g (float32[2] x) => (float32 y, float32 c) {
      c = Constant<value=float32[2]{1, 2}>()
      y = Add(x, c)
    })");
  CHECK(model.graph->Producer("c") != nullptr);
  CHECK(model.graph->Producer("y")->input(1) == "c_1");
  CHECK(model.graph->FindInitializer("c_1") != nullptr);
}

TEST_CASE("Constant nodes inside of sub-graphs") {
  const Model model = Converted(R"(
    opset 13
    graph g (bool c, float32[2] x) => (float32 y) {
      y = If<then_branch=graph t () => (float32 r) {
               w = Constant<value=float32[2]{1, 2}>()
               r = Add(x, w) },
             else_branch=graph e () => (float32 r) { r = Constant<value=float32[2]{3, 4}>() }>(c)
    })");
  int initializers = 0, nodes = 0;
  ForEachSubgraph(*model.graph->nodes()[0], [&](Graph& sub) {
    initializers += static_cast<int>(sub.initializers().size());
    nodes += static_cast<int>(sub.nodes().size());
  });
  CHECK(initializers == 1);
  CHECK(nodes == 2);
}

}  // namespace
}  // namespace roundel::graph
