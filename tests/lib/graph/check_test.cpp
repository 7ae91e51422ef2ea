#include "lib/graph/check.h"

#include <functional>

#include "lib/base/text.h"
#include "tests/support/catch.h"

namespace roundel::graph {
namespace {

Node Make(const std::string& type, std::vector<std::string> inputs,
          std::vector<std::string> outputs) {
  return {.op_type = type, .inputs = std::move(inputs), .outputs = std::move(outputs)};
}

// y = Add(x, w), with an If whose branch reads x and the initializer k of its own.
struct Fixture {
  Model model;
  Graph& graph = *model.graph;
  GraphPtr branch = std::make_shared<Graph>();

  Fixture() {
    model.opset_imports = {{"", 17}};
    graph.inputs.push_back({.name = "x", .shape = {{{.value = 2}}}});
    graph.outputs.push_back({.name = "y"});
    graph.SetInitializer("w", Tensor::Scalar(1.0f));
    graph.AddNode(Make("Add", {"x", "w"}, {"y"}));
    branch->SetInitializer("k", Tensor::Scalar(1.0f));
    branch->AddNode(Make("Mul", {"x", "k"}, {"inner"}));
    branch->outputs.push_back({.name = "inner"});
    graph.AddNode(Make("If", {"x"}, {"z"}))->SetAttribute("then_branch", branch);
  }

  Function& AddFunction(const std::string& name, const std::string& calls = "") {
    Function function{.name = name, .domain = "local", .inputs = {"a"}, .outputs = {"b"}};
    function.nodes.push_back(
        std::make_unique<Node>(Make(calls.empty() ? "Neg" : calls, {"a"}, {"b"})));
    if (!calls.empty()) function.nodes[0]->domain = "local";
    model.functions.push_back(std::move(function));
    return model.functions.back();
  }
};

}  // namespace

TEST_CASE("sound models pass, and stay as they are") {
  Fixture f;
  f.AddFunction("Twice", "Once");
  f.AddFunction("Once");
  f.graph.inputs.push_back({.name = "w"});   // default value of an input
  f.graph.outputs.push_back({.name = "x"});  // an input handed through
  f.graph.outputs.push_back({.name = "w"});
  f.branch->inputs.push_back({.name = "y"});  // hides the outer y
  f.graph.AddNode(Make("Drop", {"x", ""}, {"", "kept"}));
  f.graph.nodes()[0]->name = f.graph.nodes()[1]->name = "same";
  REQUIRE(CheckModel(&f.model).ok());
  CHECK(f.graph.nodes()[0]->op_type == "Add");
  Model empty;
  CHECK(CheckModel(&empty).ok());
}

TEST_CASE("unsound models name the culprit") {
  struct Case {
    std::function<void(Fixture&)> change;
    std::string message;
  };
  const std::vector<Case> cases = {
      {[](Fixture& f) { f.graph.AddNode(Make("Neg", {"x"}, {"y"})); },
       "value 'y' is produced twice, the second time by node Neg producing 'y'"},
      {[](Fixture& f) {
         f.graph.AddNode(Make("Split", {"x"}, {"p", "p"}));
       },
       "value 'p' is produced twice, the second time by node Split producing 'p'"},
      {[](Fixture& f) { f.graph.AddNode(Make("Neg", {"x"}, {"w"})); },
       "value 'w' is produced twice, the second time by node Neg producing 'w'"},
      {[](Fixture& f) { f.graph.AddNode(Make("Neg", {"y"}, {"x"})); },
       "value 'x' is produced twice, the second time by node Neg producing 'x'"},
      {[](Fixture& f) { f.graph.RemoveInitializer("w"); },
       "node Add producing 'y' reads 'w', which nothing produces: an initializer is missing?"},
      {[](Fixture& f) {
         f.graph.AddNode(Make("Neg", {"inner"}, {"q"}));
       },  // inside of the branch only
       "node Neg producing 'q' reads 'inner', which nothing produces: an initializer is missing?"},
      {[](Fixture& f) {
         f.graph.nodes()[0]->inputs[0] = "p";
         f.graph.AddNode(Make("Neg", {"y"}, {"p"}));
       },
       "the graph has a cycle through node Add producing 'y'"},
      {[](Fixture& f) { f.branch->nodes()[0]->inputs[0] = "z"; },  // the If's own output
       "the graph has a cycle through node If producing 'z'"},
      {[](Fixture& f) { f.graph.AddInitializer({.name = "w", .value = Tensor::Scalar(1.0f)}); },
       "two initializers are named 'w'"},
      {[](Fixture& f) { f.graph.AddInitializer({.name = "", .value = Tensor::Scalar(1.0f)}); },
       "an initializer has no name"},
      {[](Fixture& f) { f.graph.inputs.push_back({.name = "x"}); },
       "two graph inputs are named 'x'"},
      {[](Fixture& f) { f.graph.inputs.push_back({}); }, "a graph input has no name"},
      {[](Fixture& f) { f.graph.outputs[0].name = "q"; }, "nothing produces the graph output 'q'"},
      {[](Fixture& f) { f.graph.outputs.push_back({}); }, "nothing produces the graph output ''"},
      {[](Fixture& f) { f.graph.inputs[0].shape->at(0).value = -1; },
       "value 'x' has a negative dimension, -1"},
      {[](Fixture& f) { f.graph.value_info.push_back({.name = "y", .shape = {{{.value = -3}}}}); },
       "value 'y' has a negative dimension, -3"},
      {[](Fixture& f) { f.graph.nodes()[0]->op_type = ""; },
       "node  producing 'y' has no operator type"},
      {[](Fixture& f) {
         f.graph.nodes()[0]->attributes = {{.name = "a"}, {.name = "a"}};
       },
       "node Add producing 'y' has attribute 'a' twice"},
      {[](Fixture& f) { f.branch->nodes()[0]->inputs[1] = "q"; },
       "in node If producing 'z': node Mul producing 'inner' reads 'q', which nothing produces: an "
       "initializer is missing?"},
      {[](Fixture& f) { f.branch->outputs[0].name = "q"; },
       "in node If producing 'z': nothing produces the graph output 'q'"},
      {[](Fixture& f) { f.branch->AddNode(Make("Neg", {"x"}, {"inner"})); },
       "in node If producing 'z': value 'inner' is produced twice, the second time by node Neg "
       "producing 'inner'"},
      {[](Fixture& f) {
         f.AddFunction("F").nodes[0]->inputs[0] = "x";
       },  // functions see nothing outside
       "function 'F': node Neg producing 'b' reads 'x', which nothing produces: an initializer is "
       "missing?"},
      {[](Fixture& f) { f.AddFunction("F").outputs.push_back("q"); },
       "function 'F': nothing produces the output 'q'"},
      {[](Fixture& f) { f.AddFunction("F").inputs.push_back("a"); },
       "function 'F': two inputs are named 'a'"},
      {[](Fixture& f) { f.AddFunction("F").nodes[0]->inputs.push_back("b"); },
       "function 'F': the graph has a cycle through node Neg producing 'b'"},
      {[](Fixture& f) { f.AddFunction("F", "F"); }, "function 'F' calls itself"},
      {[](Fixture& f) {
         f.AddFunction("F", "G");
         f.AddFunction("G", "F");
       },
       "function 'G' calls itself"},
  };
  for (const Case& c : cases) {
    Fixture f;
    c.change(f);
    const Status status = CheckModel(&f.model);
    CHECK(status.kind() == ErrorKind::kModel);
    CHECK(status.message() == c.message);
  }
}

TEST_CASE("names are shown without control characters, and cut") {
  Fixture f;
  f.graph.nodes()[0]->inputs[1] = "\x1b[2J" + std::string(200, 'n');
  CHECK(CheckModel(&f.model).message() ==
        "node Add producing 'y' reads '\\x1b[2J" + std::string(96, 'n') +
            "...', which nothing produces: an initializer is missing?");
}

TEST_CASE("nodes out of order are sorted, in sub-graphs and functions too") {
  Fixture f;
  f.graph.InsertBefore(f.graph.nodes()[0].get(), Make("Neg", {"y"}, {"late"}));
  f.branch->InsertBefore(f.branch->nodes()[0].get(), Make("Neg", {"inner"}, {"inner2"}));
  Function& function = f.AddFunction("F");
  function.nodes.insert(function.nodes.begin(), std::make_unique<Node>(Make("Abs", {"b"}, {"c"})));
  REQUIRE(CheckModel(&f.model).ok());
  CHECK(f.graph.nodes()[0]->op_type == "Add");
  CHECK(f.branch->nodes()[0]->op_type == "Mul");
  CHECK(f.model.functions[0].nodes[0]->op_type == "Neg");
  CHECK(f.model.functions[0].nodes[1]->op_type == "Abs");
}

TEST_CASE("hostile nesting is refused before it exhausts the stack") {
  const auto nest = [](int levels) {
    Model model;
    model.graph->inputs.push_back({.name = "x"});
    Graph* graph = model.graph.get();
    for (int i = 0; i < levels; ++i) {
      auto inner = std::make_shared<Graph>();
      graph->AddNode(Make("If", {"x"}, {StrCat("y", i)}))->SetAttribute("then_branch", inner);
      graph = inner.get();
    }
    return CheckModel(&model);
  };
  CHECK(nest(64).ok());
  const Status status = nest(5000);
  CHECK(status.kind() == ErrorKind::kModel);
  CHECK(status.message().find("sub-graphs are nested more than 64 levels deep") !=
        std::string::npos);
  CHECK(status.message().size() < 300);
}

TEST_CASE("functions that blow up when inlined are refused") {
  SECTION("a long chain") {
    Fixture f;
    for (int i = 0; i < 5000; ++i) f.AddFunction(StrCat("F", i), StrCat("F", i + 1));
    CHECK(CheckModel(&f.model).message() == "functions call each other more than 64 levels deep");
  }
  SECTION("doubling") {
    Fixture f;
    for (int i = 0; i < 40; ++i) {
      Function& function = f.AddFunction(StrCat("F", i), StrCat("F", i + 1));
      Node second = *function.nodes[0];
      second.outputs = {"c"};
      function.nodes.push_back(std::make_unique<Node>(second));
    }
    CHECK(CheckModel(&f.model).message() == "more than 10000000 nodes after inlining functions");
  }
}

}  // namespace roundel::graph
