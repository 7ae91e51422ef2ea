// Rules of a recipe: matching, and their effect on a placement.

#include "lib/targets/rules.h"
#include "lib/graph/text.h"
#include "lib/targets/profile.h"
#include "tests/support/catch.h"
#include "tests/support/placement_text.h"

namespace roundel::target {
namespace {

constexpr quant::Grid kInt4{.bits = 4, .is_signed = true, .symmetric = true};
constexpr quant::Grid kUint16{.bits = 16};

const char* const kModel = R"(opset 13
graph g (int64[N] ids) => (float32[N,4] y) {
  float32[10,8] table = random(1)
  float32[8,8] w = random(2)
  float32[8,4] v = random(3)
  float32[4] b = random(4)
  x = Gather(table, ids)
  [first] t = MatMul(x, w)
  r = Relu(t)
  [second] y = Gemm(r, v, b)
})";

Result<Placement> PlaceModel(const std::vector<GridRule>& rules,
                             ActivationMode mode = ActivationMode::kStatic) {
  const Profile profile = LoadProfile("ort-cpu").value();
  GridChoice choice = DefaultChoice(profile);
  choice.mode = mode;
  choice.rules = rules;
  return Place(graph::Parse(kModel).value(), profile, choice);
}

std::string Text(const std::vector<GridRule>& rules, ActivationMode mode) {
  const auto placement = PlaceModel(rules, mode);
  INFO(placement.status().message());
  REQUIRE(placement.ok());
  std::string text = PlacementText(*placement);
  return text.substr(0, text.find("float "));  // the rest: reasons
}

}  // namespace

TEST_CASE("rules for the ends of a network match the first and the last layers alone") {
  const graph::Model model = graph::Parse(R"(opset 13
graph g (float32[N,4] x, float32[N,4] z) => (float32[N,4] y, float32[N,4] v) {
  float32[4,4] a = random(1)
  float32[4,4] b = random(2)
  float32[4,4] c = random(3)
  float32[4,4] d = random(4)
  float32[4,4] e = random(5)
  p = Relu(x)
  [one] q = MatMul(p, a)
  [two] r = MatMul(q, b)
  [other] s = MatMul(z, c)
  t = Add(r, s)
  [three] y = MatMul(t, d)
  u = Relu(t)
  [four] w = MatMul(u, e)
  v = Softmax(w)
})")
                                 .value();
  const graph::Graph& graph = *model.graph;
  const auto names = [&](LayerPosition position) {
    RuleSet rules = RuleSet::Compile({{.layer = position, .weights = kInt4}}, &graph).value();
    std::vector<std::string> matched;
    for (const graph::NodePtr& node : graph.nodes())
      if (rules.OfNode(*node)) {
        matched.push_back(node->name);
        CHECK(rules.OfTensor(node.get(), node->input(1)) != nullptr);
      }
    CHECK(rules.OfTensor(nullptr, "x") == nullptr);
    return matched;
  };
  using Names = std::vector<std::string>;
  CHECK(names(LayerPosition::kFirst) == Names{"one", "other"});
  CHECK(names(LayerPosition::kLast) == Names{"three", "four"});
  CHECK(names(LayerPosition::kEnds) == Names{"one", "other", "three", "four"});
}

TEST_CASE("the first rule that matches wins, and rules behind it are told") {
  RuleSet rules = RuleSet::Compile({{.op = "Gemm", .weights = kInt4},
                                    {.node = "re:.*nd", .float_weights = true},
                                    {.tensor = "re:w", .float_weights = true}})
                      .value();
  const graph::Node gemm{.name = "second", .op_type = "Gemm", .inputs = {}, .outputs = {"y"}};
  const graph::Node conv{.name = "other", .op_type = "Conv", .inputs = {}, .outputs = {"w"}};
  CHECK(rules.OfNode(gemm)->weights == kInt4);
  CHECK(rules.OfTensor(&gemm, "w")->weights == kInt4);
  CHECK(rules.OfNode(conv) == nullptr);
  CHECK(rules.OfTensor(&conv, "ww") == nullptr);  // a regex matches the whole name
  CHECK(rules.Unmatched() ==
        std::vector<std::string>{"rule 2 (node 're:.*nd')", "rule 3 (tensor 're:w')"});
  CHECK(rules.OfTensor(&conv, "w")->float_weights);
  CHECK(rules.Unmatched().size() == 1);
}

TEST_CASE("rules that cannot be meant are refused") {
  const auto error = [](const GridRule& rule) { return RuleSet::Compile({rule}).status(); };
  CHECK(error({.weights = kInt4}).message().find("give op, node, tensor or layer") !=
        std::string::npos);
  CHECK(error({.op = "Conv"}).message().find("changes nothing") != std::string::npos);
  CHECK(error({.op = "re:(", .weights = kInt4}).message().find("not a regular expression") !=
        std::string::npos);
  CHECK(error({.op = "Conv", .granularity = quant::Granularity::kBlock})
            .message()
            .find("block_size") != std::string::npos);
  CHECK(error({.tensor = "x", .mode = ActivationMode::kDynamic}).kind() == ErrorKind::kUsage);
}

TEST_CASE("weight-only: points for weights alone, the embedding's among them") {
  CHECK(Text({}, ActivationMode::kFloat) ==
        R"(weight table: int8 symmetric narrow, per channel of axis 0
weight w: int8 symmetric narrow, per channel of axis 1
weight v: int8 symmetric narrow, per channel of axis 1
)");
  const GridRule blocks{.op = "re:Mat.*|Gather",
                        .weights = kInt4,
                        .granularity = quant::Granularity::kBlock,
                        .block_size = 3};
  CHECK(Text({{.tensor = "v", .float_weights = true}, blocks}, ActivationMode::kFloat) ==
        R"(weight table: int4 symmetric, blocks of 3 along axis 1
weight w: int4 symmetric, blocks of 3 along axis 0
)");
}

TEST_CASE("single nodes leave the mode of the recipe") {
  // Only the Gemm runs on integers; its input is quantized for it.
  CHECK(Text({{.op = "Gemm", .mode = ActivationMode::kStatic},
              {.op = "Gather", .float_weights = true}},
             ActivationMode::kFloat) ==
        R"(activation r: uint8, group 0
activation y: uint8, group 1, whole range
weight w: int8 symmetric narrow, per channel of axis 1
weight v: int8 symmetric narrow, per channel of axis 1
bias b: int32 symmetric, per channel of axis 0, scale of r * v
)");
  CHECK(Text({{.op = "Gemm", .mode = ActivationMode::kFloat}}, ActivationMode::kStatic) ==
        R"(activation x: uint8, group 0
weight w: int8 symmetric narrow, per channel of axis 1
weight v: int8 symmetric narrow, per channel of axis 1
)");
}

TEST_CASE("a grid by rule goes to what the node writes, a rule for a tensor to that tensor") {
  CHECK(Text({{.node = "second", .activations = kUint16}}, ActivationMode::kStatic) ==
        R"(activation x: uint8, group 0
activation r: uint8, group 1
activation y: uint16, group 2, whole range
weight w: int8 symmetric narrow, per channel of axis 1
weight v: int8 symmetric narrow, per channel of axis 1
bias b: int32 symmetric, per channel of axis 0, scale of r * v
absorbable r
)");
  CHECK(Text({{.tensor = "r", .mode = ActivationMode::kFloat}}, ActivationMode::kStatic) ==
        R"(activation x: uint8, group 0
activation y: uint8, group 1, whole range
weight w: int8 symmetric narrow, per channel of axis 1
weight v: int8 symmetric narrow, per channel of axis 1
absorbable r
)");
}

TEST_CASE("a grid that the target has not is named with its node") {
  const auto refused = PlaceModel({{.op = "Gemm", .weights = quant::Grid{.bits = 12}}});
  REQUIRE(!refused.ok());
  CHECK(refused.status().kind() == ErrorKind::kUsage);
  CHECK(refused.status().message().find(
            "weights of 'second' (Gemm): target 'ort-cpu' has no uint12") != std::string::npos);
}

}  // namespace roundel::target
