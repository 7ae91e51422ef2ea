#include "lib/graph/text.h"

#include <cmath>

#include "tests/support/catch.h"
#include "tests/support/parse_model.h"

namespace roundel::graph {
namespace {

using support::ParseModel;

std::string ParseError(const std::string& text) {
  const auto model = Parse(text);
  REQUIRE_FALSE(model.ok());
  CHECK(model.status().kind() == ErrorKind::kModel);
  return model.status().message();
}

// In the printer's own form, so that printing what was parsed gives the same text.
constexpr char kCanonical[] = R"(opset 13, com.microsoft 1
ir_version 9
producer "pytorch" "2.0"
model_version 3
domain "org.example"
metadata "author" = "a \"quoted\" name"
function com.example.Twice<alpha>(a) => (b) {
  opset 13
  b = LeakyRelu<alpha=@alpha>(a)
}
graph "main graph" (float32[N,3,?,8] x, ? anything, other("0a02") seq, float16[] half) => (float32[N,4,8,8] y) {
  float32[2,2] w = {1, 0.1, -3e-38, inf}
  int64[0] empty = {}
  int4[3] packed = {-8, 7, -1}
  uint64[1] big = {18446744073709551615}
  bool[2] flags = {1, 0}
  string[2] words = {"a b", "c\x0a"}
  float16[2] halves = {0.33325195, 65504}
  float8e4m3fn[2] small = raw("387e")
  float32[N,4,8,8] t
  float32[] scalar
  float32 unranked
  [conv 1] t, "" = Conv<group=1, alpha=1.0, mode="linear", pads=[1,-1], scales=[1.0,2.5], names=["a","b"], none=ints[]>(x, w, "")
  y = com.microsoft.Gelu(t)
  () = "my domain" "odd.op"(y)
  z = If<then_branch=graph then () => (float32[] c) {
    c = Constant<value=float32[]{1}>()
  }>(flags)
}
)";

TEST_CASE("printing what was parsed gives the same text") {
  std::string text = kCanonical;
  text.replace(text.find("[conv 1]"), 8, "[\"conv 1\"]");
  CHECK(Print(ParseModel(text)) == text);
}

TEST_CASE("parsing fills the structs") {
  std::string text = kCanonical;
  text.replace(text.find("[conv 1]"), 8, "[\"conv 1\"]");
  const Model model = ParseModel(text);
  CHECK(model.Opset() == 13);
  CHECK(model.Opset("com.microsoft") == 1);
  CHECK(model.ir_version == 9);
  CHECK(model.metadata.at(0).second == "a \"quoted\" name");
  const Graph& graph = *model.graph;
  CHECK(graph.name == "main graph");
  REQUIRE(graph.inputs.size() == 4);
  CHECK(graph.inputs[0].shape->at(0).symbol == "N");
  CHECK(graph.inputs[0].shape->at(1).value == 3);
  CHECK_FALSE(graph.inputs[0].shape->at(2).value);
  CHECK(graph.inputs[0].shape->at(2).symbol.empty());
  CHECK_FALSE(graph.inputs[1].shape);
  CHECK(graph.inputs[2].type_bytes == std::string("\x0a\x02"));
  CHECK(graph.inputs[3].shape->empty());
  CHECK(graph.FindInitializer("w")->span<float>()[1] == 0.1f);
  CHECK(std::isinf(graph.FindInitializer("w")->span<float>()[3]));
  CHECK(graph.FindInitializer("packed")->ToInt64s() == std::vector<int64_t>{-8, 7, -1});
  CHECK(graph.FindInitializer("small")->ToFloat().span<float>()[0] == 1.0f);
  CHECK(graph.FindInitializer("halves")->ToFloat().span<float>()[1] == 65504.0f);
  CHECK(graph.FindInitializer("words")->strings()[1] == "c\n");
  CHECK(graph.value_info.size() == 3);
  REQUIRE(graph.nodes().size() == 4);
  const Node& conv = *graph.nodes()[0];
  CHECK(conv.name == "conv 1");
  CHECK(conv.outputs == std::vector<std::string>{"t", ""});
  CHECK(conv.inputs == std::vector<std::string>{"x", "w", ""});
  CHECK(conv.Int("group", 0) == 1);
  CHECK(conv.Float("alpha", 0) == 1.0f);
  CHECK(conv.String("mode", "") == "linear");
  CHECK(conv.Ints("pads") == std::vector<int64_t>{1, -1});
  CHECK(conv.Floats("scales") == std::vector<float>{1, 2.5});
  CHECK(std::holds_alternative<std::vector<int64_t>>(conv.FindAttribute("none")->value));
  CHECK(graph.nodes()[1]->Is("Gelu", "com.microsoft"));
  CHECK(graph.nodes()[2]->Is("odd.op", "my domain"));
  CHECK(graph.nodes()[2]->outputs.empty());
  const auto& branch = std::get<GraphPtr>(graph.nodes()[3]->FindAttribute("then_branch")->value);
  CHECK(branch->nodes()[0]->TensorAttribute("value")->span<float>()[0] == 1.0f);
  REQUIRE(model.functions.size() == 1);
  CHECK(model.functions[0].domain == "com.example");
  CHECK(model.functions[0].nodes[0]->FindAttribute("alpha")->ref_name == "alpha");
}

TEST_CASE("fills make large tensors") {
  const Model model = ParseModel(R"(opset 13
    graph g () => (float32[100] r) {   # a comment
      float32[100] z = zeros
      int8[3] o = ones
      float32[2,2] h = fill(0.5)
      uint4[5] n = fill(9)
      float32[100] r = random(7)
      float32[100] same = random(7)
      float64[1000] positive = random(8, 0.5, 1.5)
    })");
  const Graph& graph = *model.graph;
  CHECK(graph.FindInitializer("z")->span<float>()[99] == 0.0f);
  CHECK(graph.FindInitializer("o")->ToInt64s() == std::vector<int64_t>{1, 1, 1});
  CHECK(graph.FindInitializer("h")->span<float>()[3] == 0.5f);
  CHECK(graph.FindInitializer("n")->ToInt64s() == std::vector<int64_t>(5, 9));
  CHECK(*graph.FindInitializer("r") == *graph.FindInitializer("same"));
  double sum = 0;
  for (const double value : graph.FindInitializer("positive")->span<double>()) {
    CHECK(value >= 0.5);
    CHECK(value < 1.5);
    sum += value;
  }
  CHECK(sum / 1000 == Approx(1).margin(0.05));  // sd of the mean is 0.009
}

TEST_CASE("large tensors print as a hash, which is not read back") {
  const Model model = ParseModel("opset 13 graph g () => () { float32[17] w = zeros }");
  const std::string text = Print(model);
  CHECK(text.find("float32[17] w = hash(") != std::string::npos);
  CHECK(ParseError(text) ==
        "line 3: a tensor printed as hash(...) has lost its elements; print "
        "with a larger max_elements");
  CHECK(Print(ParseModel(Print(model, 17)), 17) == Print(model, 17));
}

TEST_CASE("names that look like keywords or numbers survive") {
  const std::string text = R"(opset 13
graph graph (float32["5"] 1) => (float32[] opset) {
  float32 = Relu(1)
  [function] graph, other = Split(float32)
  opset = Add(graph, "a,b")
}
)";
  CHECK(Print(ParseModel(text)) == text);
}

TEST_CASE("errors name the line and what was expected") {
  CHECK(ParseError("opset 13\n\ngrph g") ==
        "line 3: expected opset, ir_version, producer, model_version, domain, metadata, function "
        "or graph, found 'grph'");
  CHECK(ParseError("opset 13\ngraph g () => () {\n y = Relu(x\n}") ==
        "line 4: expected ')', found '}'");
  CHECK(ParseError("graph g () => () { float32[2] w = {1} }") ==
        "line 1: a tensor of shape [2] needs 2 elements, got 1");
  CHECK(ParseError("graph g () => () { int8[1] w = {200} }") ==
        "line 1: an element is not a literal of type int8");
  CHECK(ParseError("graph g () => () { int4[1] w = {8} }") ==
        "line 1: an element is not a literal of type int4");
  CHECK(ParseError("graph g () => () { float32[N] w = zeros }") ==
        "line 1: the dimensions of a tensor must be numbers");
  CHECK(ParseError("graph g () => () { float32[-1] w = zeros }") ==
        "line 1: negative dimension in shape [-1]");
  CHECK(ParseError("graph g () => () { float32[99999,99999] w = zeros }") ==
        "line 1: a tensor of shape [99999, 99999] is too large for text");
  CHECK(ParseError("graph g () => () { int8[2] w = random(1) }") ==
        "line 1: random(...) makes floating tensors, not int8");
  CHECK(ParseError("graph g () => () { y = Relu<a=[1,\"b\"]>(x) }") ==
        "line 1: the elements of a list must be of one kind");
  CHECK(ParseError("graph g () => () { y = Relu<a=[]>(x) }") ==
        "line 1: an empty list needs its kind: ints[], floats[], strings[], ...");
  CHECK(ParseError("graph \"g") == "line 1: the string has no end, or a bad escape");
  CHECK(ParseError("graph g; ") == "line 1: unexpected character 0x3b");
  CHECK(ParseError("graph g () => () { float32[] w = {1} float32[] w = {2} }") ==
        "line 1: initializer 'w' is defined twice");
  CHECK(ParseError("graph g () => () {} y = Relu(x)") ==
        "line 1: expected nothing after the graph, found 'y'");
  CHECK(ParseError("") ==
        "line 1: expected opset, ir_version, producer, model_version, domain, "
        "metadata, function or graph, found 'end of text'");
}

TEST_CASE("deep nesting is an error, not a stack overflow") {
  std::string text = "graph g () => () {";
  for (int i = 0; i < 100000; ++i) text += "y = If<b=graph g () => () {";
  CHECK(ParseError(text) == "line 1: sub-graphs are nested too deeply");
}

}  // namespace
}  // namespace roundel::graph
