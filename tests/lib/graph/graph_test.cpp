#include "lib/graph/graph.h"

#include "tests/support/catch.h"

namespace roundel::graph {
namespace {

Node Make(const std::string& type, std::vector<std::string> inputs,
          std::vector<std::string> outputs) {
  return {.op_type = type, .inputs = std::move(inputs), .outputs = std::move(outputs)};
}

std::vector<std::string> Types(const Graph& graph) {
  std::vector<std::string> types;
  for (const NodePtr& node : graph.nodes()) types.push_back(node->op_type);
  return types;
}

// x -> A -> a -> B -> b; If reads `a` inside of its branch.
struct Fixture {
  Graph graph;
  Node *a, *b, *branch;
  GraphPtr sub = std::make_shared<Graph>();

  Fixture() {
    graph.inputs.push_back({.name = "x"});
    graph.outputs.push_back({.name = "b"});
    graph.SetInitializer("w", Tensor::Scalar(1.0f));
    a = graph.AddNode(Make("A", {"x", "w"}, {"a"}));
    b = graph.AddNode(Make("B", {"a", "", "a"}, {"b"}));
    sub->AddNode(Make("Inner", {"a"}, {"inner"}));
    sub->outputs.push_back({.name = "inner"});
    branch = graph.AddNode(Make("If", {"x"}, {"c"}));
    branch->SetAttribute("then_branch", sub);
    graph.InvalidateIndex();
  }
};

}  // namespace

TEST_CASE("producers and uses, sub-graphs included") {
  const Fixture f;
  CHECK(f.graph.Producer("a") == f.a);
  CHECK(f.graph.Producer("x") == nullptr);
  CHECK(f.graph.Producer("w") == nullptr);
  CHECK(f.graph.Producer("inner") == nullptr);
  const std::vector<Use>& uses = f.graph.Uses("a");
  REQUIRE(uses.size() == 3);
  CHECK(uses[0].node == f.b);
  CHECK(uses[0].index == 0);
  CHECK(uses[1].index == 2);
  CHECK(uses[2].node == f.branch);
  CHECK(uses[2].index == -1);
  CHECK(f.graph.Uses("").empty());
  CHECK(f.graph.Uses("nowhere").empty());
  CHECK(f.graph.OnlyConsumer("a") == nullptr);
  CHECK(f.graph.OnlyConsumer("w") == f.a);
  CHECK(f.graph.OnlyConsumer("b") == nullptr);  // a graph output
}

TEST_CASE("a value that only a sub-graph reads has no consumer to merge with") {
  Fixture f;
  f.graph.RemoveNode(f.b);
  CHECK(f.graph.Uses("a").size() == 1);
  CHECK(f.graph.OnlyConsumer("a") == nullptr);
}

TEST_CASE("insertion and removal keep the index in step") {
  Fixture f;
  Node* between = f.graph.InsertAfter(f.a, Make("Between", {"a"}, {"a2"}));
  f.graph.InsertBefore(f.a, Make("First", {"x"}, {"x2"}));
  CHECK(Types(f.graph) == std::vector<std::string>{"First", "A", "Between", "B", "If"});
  CHECK(f.graph.Producer("a2") == between);
  f.graph.SetInput(f.b, 4, "a2");
  CHECK(f.b->inputs == std::vector<std::string>{"a", "", "a", "", "a2"});
  CHECK(f.graph.OnlyConsumer("a2") == f.b);
  f.graph.SetOutput(between, 0, "a3");
  CHECK(f.graph.Producer("a2") == nullptr);
  f.graph.RemoveNodes([](const Node& node) { return node.op_type != "A"; });
  CHECK(Types(f.graph) == std::vector<std::string>{"A"});
  CHECK(f.graph.Uses("a").empty());
}

TEST_CASE("replacing uses reaches into sub-graphs, but not past a value of the same name") {
  Fixture f;
  f.sub->outputs.push_back({.name = "a"});  // handed through from the outer graph
  auto other = std::make_shared<Graph>();
  other->inputs.push_back({.name = "a"});
  other->AddNode(Make("Own", {"a"}, {"out"}));
  f.branch->SetAttribute("body", other);
  f.graph.ReplaceUses("a", "z");
  CHECK(f.b->inputs == std::vector<std::string>{"z", "", "z"});
  CHECK(f.sub->nodes()[0]->inputs[0] == "z");
  CHECK(f.sub->outputs[1].name == "z");
  CHECK(f.sub->outputs[0].name == "inner");
  CHECK(other->nodes()[0]->inputs[0] == "a");
  CHECK(f.graph.Uses("z").size() == 3);
  CHECK(f.graph.Uses("a").empty());
  CHECK(f.graph.outputs[0].name == "b");
  f.graph.ReplaceUses("b", "z");
  CHECK(f.graph.outputs[0].name == "b");  // graph outputs keep their names
}

TEST_CASE("topological order is stable and follows reads of sub-graphs") {
  Graph graph;
  auto sub = std::make_shared<Graph>();
  sub->AddNode(Make("Inner", {"late"}, {"inner"}));
  graph.AddNode(Make("If", {"x"}, {"c"}))->SetAttribute("then_branch", sub);
  graph.AddNode(Make("One", {"x"}, {"1"}));
  graph.AddNode(Make("Two", {"x", "x"}, {"2"}));
  graph.AddNode(Make("Late", {"2", "1"}, {"late"}));
  graph.InvalidateIndex();
  REQUIRE(graph.SortTopologically().ok());
  CHECK(Types(graph) == std::vector<std::string>{"One", "Two", "Late", "If"});
  REQUIRE(graph.SortTopologically().ok());
  CHECK(Types(graph) == std::vector<std::string>{"One", "Two", "Late", "If"});
  Graph empty;
  CHECK(empty.SortTopologically().ok());
}

TEST_CASE("the error of a cycle names a node in it, not one behind it") {
  Graph graph;
  graph.AddNode(Make("Behind", {"p"}, {"q"}));
  graph.AddNode(Make("First", {"r"}, {"p"}));
  graph.AddNode(Make("Second", {"p"}, {"r"}));
  graph.AddNode(Make("Fine", {"x"}, {"y"}));
  const Status status = graph.SortTopologically();
  CHECK(status.kind() == ErrorKind::kModel);
  CHECK(status.message() == "the graph has a cycle through node First producing 'p'");
  CHECK(graph.nodes().size() == 4);  // nothing is lost
}

TEST_CASE("initializers and constants") {
  Graph graph;
  graph.SetInitializer("w", Tensor::Scalar(1.0f));
  graph.SetInitializer("v", Tensor::Scalar(2.0f));
  graph.SetInitializer("w", Tensor::Scalar(3.0f));
  REQUIRE(graph.initializers().size() == 2);
  CHECK(*graph.Constant("w") == Tensor::Scalar(3.0f));
  graph.inputs.push_back({.name = "w"});  // a default value, not a constant
  graph.InvalidateIndex();
  CHECK(graph.Constant("w") == nullptr);
  CHECK(*graph.FindInitializer("w") == Tensor::Scalar(3.0f));
  graph.AddNode(Make("Constant", {}, {"c"}))->SetAttribute("value", Tensor::Scalar(int64_t{7}));
  CHECK(*graph.Constant("c") == Tensor::Scalar(int64_t{7}));
  graph.AddNode(Make("Constant", {}, {"d"}))->SetAttribute("value_int", int64_t{7});
  CHECK(graph.Constant("d") == nullptr);
  graph.AddNode(Make("Use", {"u"}, {"y"}));
  graph.SetInitializer("u", Tensor::Scalar(4.0f));
  graph.RemoveUnusedInitializers();  // v goes; w is an input, u is read
  REQUIRE(graph.initializers().size() == 2);
  CHECK(graph.FindInitializer("v") == nullptr);
  CHECK(*graph.FindInitializer("u") == Tensor::Scalar(4.0f));
  graph.RemoveInitializer("w");
  CHECK(*graph.FindInitializer("u") == Tensor::Scalar(4.0f));
  CHECK(graph.FindInitializer("w") == nullptr);
}

TEST_CASE("fresh names avoid values and nodes") {
  Fixture f;
  f.a->name = "node";
  CHECK(f.graph.FreshName("new") == "new");
  CHECK(f.graph.FreshName("a") == "a_1");
  CHECK(f.graph.FreshName("x") == "x_1");
  CHECK(f.graph.FreshName("w") == "w_1");
  CHECK(f.graph.FreshName("node") == "node_1");
  f.graph.AddNode(Make("C", {"missing"}, {"a_1"}));
  CHECK(f.graph.FreshName("a") == "a_2");
  CHECK(f.graph.FreshName("missing") == "missing_1");
}

TEST_CASE("attributes: typed reads, replacement, defaults where the kind differs") {
  Node node = Make("N", {}, {"y"});
  node.SetAttribute("i", int64_t{3});
  node.SetAttribute("f", 0.5f);
  node.SetAttribute("s", std::string("text"));
  node.SetAttribute("is", std::vector<int64_t>{1, 2});
  CHECK(node.Int("i", 9) == 3);
  CHECK(node.Int("f", 9) == 9);
  CHECK(node.Int("none", 9) == 9);
  CHECK(node.Float("f", 1) == 0.5f);
  CHECK(node.String("s", "") == "text");
  CHECK(node.Ints("is") == std::vector<int64_t>{1, 2});
  CHECK(node.Floats("is", {7}) == std::vector<float>{7});
  CHECK(node.TensorAttribute("i") == nullptr);
  node.SetAttribute("i", 1.5f);
  CHECK(node.attributes.size() == 4);
  CHECK(node.Float("i", 0) == 1.5f);
  node.RemoveAttribute("i");
  CHECK(node.FindAttribute("i") == nullptr);
  CHECK(node.input(5) == "");
  CHECK(node.DisplayName() == "N producing 'y'");
  node.name = "line\nbreak";
  CHECK(node.DisplayName() == "'line\\x0abreak' (N)");
}

TEST_CASE("opsets, functions, metadata") {
  Model model;
  CHECK(model.Opset() == 0);
  model.opset_imports = {{"ai.onnx", 13}, {"com.microsoft", 1}};
  CHECK(model.Opset() == 13);
  model.SetOpset("", 21);
  CHECK(model.opset_imports[0] == std::pair<std::string, int64_t>{"ai.onnx", 21});
  model.SetOpset("local", 2);
  CHECK(model.Opset("local") == 2);
  model.functions.push_back({.name = "F", .domain = "local"});
  CHECK(model.FindFunction("local", "F") != nullptr);
  CHECK(model.FindFunction("", "F") == nullptr);
  model.SetMetadata("k", "1");
  model.SetMetadata("k", "2");
  CHECK(model.metadata == std::vector<std::pair<std::string, std::string>>{{"k", "2"}});
}

TEST_CASE("clones are deep") {
  Fixture f;
  Model model;
  model.ir_version = 9;
  model.functions.push_back({.name = "F", .domain = "d", .inputs = {"a"}});
  model.functions[0].nodes.push_back(std::make_unique<Node>(Make("N", {"a"}, {"b"})));
  model.graph->AddNode(*f.branch);
  model.graph->SetInitializer("w", Tensor::Scalar(1.0f));
  Model copy = Clone(model);
  copy.functions[0].nodes[0]->op_type = "Changed";
  std::get<GraphPtr>(copy.graph->nodes()[0]->attributes[0].value)->nodes()[0]->op_type = "Changed";
  copy.graph->SetInitializer("w", Tensor::Scalar(2.0f));
  CHECK(copy.ir_version == 9);
  CHECK(model.functions[0].nodes[0]->op_type == "N");
  CHECK(f.sub->nodes()[0]->op_type == "Inner");
  CHECK(*model.graph->FindInitializer("w") == Tensor::Scalar(1.0f));
}

}  // namespace roundel::graph
