// Constants with several readers. Oracle: the float values that each reader had before, and the
// form that the placement of a model with constants of their own gives.

#include <functional>

#include "lib/graph/text.h"
#include "lib/targets/own_constants.h"
#include "tests/support/catch.h"

namespace roundel::target {
namespace {

struct Separated {
  graph::Model before, model;
  Placement placement;
  std::vector<ConstantCopy> copies;
  const graph::Node& Writer(const std::string& value) const {
    REQUIRE(model.graph->Producer(value));
    return *model.graph->Producer(value);
  }
  const QuantPoint* Point(const std::string& value) const {
    for (const QuantPoint& point : placement.points)
      if (point.value == value) return &point;
    return nullptr;
  }
};

Separated Separate(const std::string& text, const std::string& target = "ort-cpu",
                   const std::function<void(GridChoice&)>& adjust = {}) {
  auto parsed = graph::Parse(text);
  INFO(parsed.status().message());
  REQUIRE(parsed.ok());
  Separated s;
  s.before = graph::Clone(*parsed);
  s.model = std::move(parsed).value();
  const Profile profile = LoadProfile(target).value();
  GridChoice choice = DefaultChoice(profile);
  if (adjust) adjust(choice);
  auto placement = PlaceSeparately(&s.model, profile, choice, &s.copies);
  INFO(placement.status().message());
  REQUIRE(placement.ok());
  s.placement = std::move(placement).value();
  // Every reader of a copy reads the same values as before.
  for (const ConstantCopy& c : s.copies) {
    const graph::Node* old = s.before.graph->Producer(c.reader);
    REQUIRE(old);
    CHECK(old->input(static_cast<size_t>(c.index)) == c.value);
    REQUIRE(s.model.graph->Constant(c.copy));
    CHECK(*s.model.graph->Constant(c.copy) == *s.before.graph->Constant(c.value));
    CHECK(s.Writer(c.reader).input(static_cast<size_t>(c.index)) == c.copy);
  }
  return s;
}

}  // namespace

TEST_CASE("a bias between two scales gets a copy for each of them") {
  const Separated s = Separate(R"(opset 13
graph g (float32[1,4] x) => (float32[1,4] y) {
  float32[4,4] w = ones
  float32[4] b = zeros
  t = Gemm<transB=1>(x, w, b)
  u = Gemm<transB=1>(x, w, b)
  v = Add(t, u)
  y = Gemm<transB=1>(v, w, b)
})");
  // The first two count in the same unit.
  CHECK(s.Writer("t").input(2) == "b");
  CHECK(s.Writer("u").input(2) == "b");
  CHECK(s.Writer("y").input(2) == "b_copy");
  REQUIRE(s.Point("b"));
  REQUIRE(s.Point("b_copy"));
  CHECK(s.Point("b")->bias_input == "x");
  CHECK(s.Point("b_copy")->bias_input == "v");
  // A matrix that all readers need in one form is not copied.
  CHECK(s.Writer("y").input(1) == "w");
}

TEST_CASE("bias and operand, operand and float, weight and excluded layer") {
  const Separated bias = Separate(R"(opset 13
graph g (float32[1,4] x) => (float32[1,4] y) {
  float32[4,4] w = ones
  float32[4] c = random(1)
  t = Gemm(x, w, c)
  r = Relu(t)
  u = Add(r, c)
  y = MatMul(u, w)
})");
  REQUIRE(bias.Point(bias.Writer("t").input(2)));
  REQUIRE(bias.Point(bias.Writer("u").input(1)));
  CHECK(bias.Point(bias.Writer("t").input(2))->role == quant::Role::kBias);
  CHECK(bias.Point(bias.Writer("u").input(1))->grid.bits == 8);

  const Separated floats = Separate(R"(opset 13
graph g (float32[1,4] x) => (float32[1,4] y, float32[1,4] out) {
  float32[4,4] w = ones
  float32[4] c = random(1)
  y = Div(x, c)
  m = MatMul(x, w)
  s = Relu(m)
  z = Add(s, c)
  out = MatMul(z, w)
})");
  CHECK(floats.Writer("z").input(1) == "c");
  CHECK(floats.Point("c"));
  CHECK(floats.Writer("y").input(1) == "c_copy");
  CHECK_FALSE(floats.Point("c_copy"));

  const Separated excluded = Separate(R"(opset 13
graph g (float32[1,4] x) => (float32[1,4] y, float32[1,4] z) {
  float32[4,4] w = random(1)
  [first] y = MatMul(x, w)
  [last] z = MatMul(x, w)
})",
                                      "ort-cpu", [](GridChoice& c) { c.exclude = {"last"}; });
  CHECK(excluded.Point("w"));
  CHECK_FALSE(excluded.Point(excluded.Writer("z").input(1)));
}

TEST_CASE("rules that differ by node give a weight two grids") {
  const Separated s = Separate(R"(opset 21
graph g (float32[1,4] x) => (float32[1,4] y, float32[1,4] z) {
  float32[4,4] w = random(1)
  [first] y = MatMul(x, w)
  [last] z = MatMul(x, w)
})",
                               "ort-cpu", [](GridChoice& c) {
                                 GridRule rule{.node = "last"};
                                 rule.weights =
                                     quant::Grid{.bits = 4, .is_signed = true, .symmetric = true};
                                 c.rules = {rule};
                               });
  CHECK(s.Point("w")->grid.bits == 8);
  CHECK(s.Point("w_copy")->grid.bits == 4);
}

TEST_CASE("a constant that a sub-graph or the caller has by name keeps it as floats") {
  const Separated s = Separate(R"(opset 13
graph g (float32[1,4] x) => (float32[1,4] out, float32[4] c) {
  float32[4,4] w = ones
  float32[4] c = random(1)
  m = MatMul(x, w)
  s = Relu(m)
  y = Add(s, c)
  out = MatMul(y, w)
})");
  CHECK(s.Writer("y").input(1) == "c_copy");
  CHECK_FALSE(s.Point("c"));
  CHECK(s.Point("c_copy"));
}

TEST_CASE("copies get free names, and can be made again") {
  const std::string text = R"(opset 13
graph g (float32[1,4] x) => (float32[1,4] out, float32[1,4] c_copy) {
  float32[4,4] w = ones
  float32[4] c = random(1)
  c_copy = Div(x, c)
  m = MatMul(x, w)
  s = Relu(m)
  y = Add(s, c)
  out = MatMul(y, w)
})";
  const Separated s = Separate(text);
  REQUIRE(s.copies.size() == 1);
  CHECK(s.copies[0].copy == "c_copy_1");
  graph::Model again = graph::Clone(s.before);
  REQUIRE(CopyConstants(s.copies, &again).ok());
  CHECK(graph::Print(again) == graph::Print(s.model));
  graph::Model other = graph::Parse(
                           "opset 13\ngraph g (float32[1,4] x) => (float32[1,4] y) {\n"
                           "y = Relu(x)\n}")
                           .value();
  const Status status = CopyConstants(s.copies, &other);
  CHECK(status.kind() == ErrorKind::kUsage);
}

}  // namespace roundel::target
