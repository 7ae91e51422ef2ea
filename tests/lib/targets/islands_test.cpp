// Operators that run on integers: only those between integer neighbors.

#include <map>

#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "lib/targets/grid_name.h"
#include "lib/targets/profile.h"
#include "tests/support/catch.h"

namespace roundel::target {
namespace {

Placement PlacementOf(const std::string& text, const char* target = "ort-cpu",
                      const std::vector<GridRule>& rules = {}) {
  const auto model = graph::Parse(text);
  INFO(model.status().message());
  REQUIRE(model.ok());
  const Profile profile = LoadProfile(target).value();
  GridChoice choice = DefaultChoice(profile);
  choice.rules = rules;
  auto placement = Place(*model, profile, choice);
  INFO(placement.status().message());
  REQUIRE(placement.ok());
  return *std::move(placement);
}

// The activations with a quantizer, in order.
std::string Quantized(const Placement& placement) {
  std::vector<std::string> names;
  for (const QuantPoint& point : placement.points)
    if (point.role == quant::Role::kActivation) names.push_back(point.value);
  return Join(names, " ");
}

std::string Reason(const Placement& placement, const std::string& node) {
  for (const FloatNode& entry : placement.float_nodes)
    if (entry.node.find("'" + node + "'") != std::string::npos) return entry.reason;
  return "not float";
}

}  // namespace

TEST_CASE("a decomposed layer normalization is float between its layers") {
  const Placement placement = PlacementOf(R"(opset 13
graph g (float32[N,6,8] x) => (float32[N,6,8] y) {
  float32[8,8] w = ones
  float32[8] gamma = ones
  float32[8] beta = ones
  float32[] eps = {1e-5}
  float32[] two = {2}
  h = MatMul(x, w)
  m = ReduceMean<axes=[-1]>(h)
  d = Sub(h, m)
  q = Pow(d, two)
  v = ReduceMean<axes=[-1]>(q)
  e = Add(v, eps)
  s = Sqrt(e)
  n = Div(d, s)
  a = Mul(n, gamma)
  b = Add(a, beta)
  y = MatMul(b, w)
})");
  // h has float readers alone, and MatMul's integer kernel gives floats; b is a layer's input.
  CHECK(Quantized(placement) == "x b y");
  CHECK(Reason(placement, "e") == "no integer neighbor before it: 'v' is float");
  CHECK(Reason(placement, "b").starts_with("no integer neighbor before"));
}

TEST_CASE("a bias behind a product that gives floats is added in float") {
  const std::string start =
      "opset 13\ngraph g (float32[N,6,8] x) => (float32[N,6,8] y) {\n"
      "  float32[8,8] w = ones\n  float32[8] b = ones\n";
  const std::string plain =
      start + "  h = MatMul(x, w)\n  a = Add(b, h)\n  r = Relu(a)\n  y = MatMul(r, w)\n}";
  CHECK(Quantized(PlacementOf(plain)) == "x r y");
  CHECK(Reason(PlacementOf(plain), "a").starts_with("adds a bias"));
  // No sum of two results, no sum of a value with other readers, and none if kernels give codes.
  const std::string two =
      start + "  h = MatMul(x, w)\n  k = MatMul(x, w)\n  a = Add(h, k)\n  y = MatMul(a, w)\n}";
  CHECK(Quantized(PlacementOf(two)) == "x h k a y");
  const std::string read =
      start + "  h = MatMul(x, w)\n  a = Add(h, b)\n  c = Add(a, h)\n  y = MatMul(c, w)\n}";
  CHECK(Quantized(PlacementOf(read)) == "x h a c y");
  CHECK(Quantized(PlacementOf(plain, "qnn-htp")) == "x h r y");
}

TEST_CASE("squares of a layer's result on the way to a root stay float") {
  const std::string text = R"(opset 13
graph g (float32[N,8] x) => (float32[N,8] y) {
  float32[8,8] c = ones
  float32[8,8] s = ones
  re = MatMul(x, c)
  im = MatMul(x, s)
  p = Mul(re, re)
  q = Mul(im, im)
  r = Add(p, q)
  t = Sqrt(r)
  y = MatMul(t, c)
})";
  const Placement placement = PlacementOf(text);
  CHECK(Quantized(placement) == "x t y");
  CHECK(Reason(placement, "p") == "no integer neighbor after it");
  CHECK(Reason(placement, "r") == "no integer neighbor after it");
  // Everywhere but on ONNX Runtime's CPU a layer has a pair behind it all the same.
  CHECK(Quantized(PlacementOf(text, "generic")) == "x re im t y");
  CHECK(Quantized(PlacementOf(text, "openvino")) == "x re im t y");
  // On a processor without floats all are integer operators.
  CHECK(Quantized(PlacementOf(text, "qnn-htp")) == "x re im p q r t y");
}

TEST_CASE("residual sums, SiLU and squeeze-and-excite between convolutions are integer") {
  CHECK(Quantized(PlacementOf(R"(opset 13
graph g (float32[N,4,8,8] x) => (float32[N,4,8,8] y) {
  float32[4,4,1,1] w = ones
  a = Conv(x, w)
  b = Conv(a, w)
  s = Add(a, b)
  r = Relu(s)
  y = Conv(r, w)
})")) == "x a b r y");
  CHECK(Quantized(PlacementOf(R"(opset 13
graph g (float32[N,4,8,8] x) => (float32[N,4,8,8] y) {
  float32[4,4,1,1] w = ones
  a = Conv(x, w)
  b = Sigmoid(a)
  c = Mul(a, b)
  d = GlobalAveragePool(c)
  e = Conv(d, w)
  f = Sigmoid(e)
  h = Mul(c, f)
  y = Conv(h, w)
})")) == "x a b c d e f h y");
}

TEST_CASE("one float operand makes the op float, and what depends on it") {
  const Placement placement = PlacementOf(R"(opset 13
graph g (float32[N,4,4] q, float32[N,4,4] k, float32[N,4,4] v, float32[N,1,4] mask) => (float32[N,4,4] y) {
  float32[] scale = {0.5}
  a = MatMul(q, k)
  b = Mul(a, scale)
  c = Add(b, mask)
  p = Softmax(c)
  y = MatMul(p, v)
})");
  // Scores with a mask are float; the weights of the values are a MatMul's input.
  CHECK(Quantized(placement) == "q k v p y");
  CHECK(Reason(placement, "c") == "no integer neighbor before it: 'mask' is float");
  CHECK(Reason(placement, "b") == "no integer neighbor after it");
  // Without the mask they are an island.
  CHECK(Quantized(PlacementOf(R"(opset 13
graph g (float32[N,4,4] q, float32[N,4,4] k, float32[N,4,4] v) => (float32[N,4,4] y) {
  float32[] scale = {0.5}
  a = MatMul(q, k)
  b = Mul(a, scale)
  p = Softmax(b)
  y = MatMul(p, v)
})")) == "q k v a b p y");
}

TEST_CASE("what comes behind the last layer is float, but for averages") {
  CHECK(Quantized(PlacementOf(R"(opset 13
graph g (float32[N,4,8,8] x) => (float32[N,4,64] y) {
  float32[4,4,1,1] w = ones
  int64[3] shape = {0, 4, 64}
  float32[] stride = {8}
  a = Conv(x, w)
  b = Sigmoid(a)
  c = Reshape(b, shape)
  y = Mul(c, stride)
})")) == "x a");
  CHECK(Quantized(PlacementOf(R"(opset 13
graph g (float32[N,4,8,8] x) => (float32[N,4] y) {
  float32[4,4,1,1] w = ones
  a = Conv(x, w)
  b = GlobalAveragePool(a)
  y = Flatten(b)
})")) == "x a b y");
}

TEST_CASE("movers and clamps are looked through on both sides") {
  CHECK(Quantized(PlacementOf(R"(opset 13
graph g (float32[1,4,8,8] x) => (float32[1,4,8,8] y) {
  float32[4,4,1,1] w = ones
  int64[4] shape = {1, 4, 8, 8}
  a = Conv(x, w)
  b = Transpose(a)
  c = LeakyRelu(b)
  d = Relu(c)
  e = Reshape(d, shape)
  y = Conv(e, w)
})")) == "x a b d e y");
  // A clamp that stands alone, before float ops: the convolution's pair is enough.
  const Placement placement = PlacementOf(R"(opset 13
graph g (float32[1,4,8,8] x) => (float32[1,4,8,8] y, float32[1,4,8,8] z) {
  float32[4,4,1,1] w = ones
  a = Conv(x, w)
  r = Relu(a)
  y = Log(r)
  z = Conv(a, w)
})");
  CHECK(Quantized(placement) == "x a z");
  CHECK(Reason(placement, "r") == "no integer neighbor after it");
}

TEST_CASE("a Clip per channel, written as Relu and Min, is a clamp like others") {
  CHECK(Quantized(PlacementOf(R"(opset 13
graph g (float32[N,2,8,8] x) => (float32[N,2] y) {
  float32[2,2,1,1] w = ones
  float32[1,2,1,1] top = {6, 3}
  a = Conv(x, w)
  r = Relu(a)
  m = Min(r, top)
  p = GlobalAveragePool(m)
  y = Flatten(p)
})")) == "x r m p y");
}

TEST_CASE("an input that a layer reads is on a grid for an Add as well") {
  CHECK(Quantized(PlacementOf(R"(opset 13
graph g (float32[N,4,8,8] x) => (float32[N,4,8,8] y) {
  float32[4,4,1,1] w = ones
  a = Conv(x, w)
  s = Add(x, a)
  y = Conv(s, w)
})")) == "x a s y");
  // A scaling of the pixels alone is not an island.
  CHECK(Quantized(PlacementOf(R"(opset 13
graph g (float32[N,4,8,8] x) => (float32[N,4,8,8] y) {
  float32[4,4,1,1] w = ones
  float32[] scale = {0.004}
  s = Mul(x, scale)
  y = Conv(s, w)
})")) == "s y");
}

TEST_CASE("a Concat of float parts has its pair where a layer reads it") {
  const Placement placement = PlacementOf(R"(opset 13
graph g (float32[4,8] past, float32[4,8] x, float32[4,8] q) => (float32[4,8] y) {
  float32[8,8] w = ones
  k = MatMul(x, w)
  all = Concat<axis=0>(past, k)
  t = Transpose(all)
  y = MatMul(q, t)
})");
  CHECK(Quantized(placement) == "x q t y");
  CHECK(Reason(placement, "all") == "no integer neighbor before it: 'past' is float");
}

TEST_CASE("a Concat in front of the output is float") {
  const Placement placement = PlacementOf(R"(opset 13
graph g (float32[N,4,8,8] x) => (float32[N,8,8,8] y) {
  float32[4,4,1,1] w = ones
  a = Conv(x, w)
  b = Conv(x, w)
  s = Sigmoid(b)
  y = Concat<axis=1>(a, s)
})");
  CHECK(Quantized(placement) == "x a b");
}

TEST_CASE("a rule of the recipe that gives a node a grid has the last word") {
  const std::string text = R"(opset 13
graph g (float32[N,4] x) => (float32[N,4] y) {
  [sum] s = Add(x, x)
  y = Sqrt(s)
})";
  CHECK(Quantized(PlacementOf(text)).empty());
  CHECK(Quantized(PlacementOf(text, "ort-cpu",
                              {{.node = "sum", .activations = ParseGridName("uint8")}})) == "x s");
}

TEST_CASE("an excluded layer is no neighbor") {
  const std::string text = R"(opset 13
graph g (float32[N,4,8,8] x) => (float32[N,4,8,8] y) {
  float32[4,4,1,1] w = ones
  a = Conv(x, w)
  s = LeakyRelu(a)
  [last] y = Conv(s, w)
})";
  const auto model = graph::Parse(text).value();
  const Profile profile = LoadProfile("ort-cpu").value();
  GridChoice choice = DefaultChoice(profile);
  choice.exclude = {"last"};
  CHECK(Quantized(Place(model, profile, choice).value()) == "x a");
}

TEST_CASE("every target's anchors and ends are ops that it quantizes") {
  for (const std::string& name : ProfileNames()) {
    INFO(name);
    const Profile profile = LoadProfile(name).value();
    for (const auto* set : {&profile.anchors, &profile.island_ends, &profile.float_results})
      for (const std::string& op : *set) {
        INFO(op);
        REQUIRE(profile.ops.contains(op));
        CHECK(
            (profile.ops.at(op) == OpPolicy::kQuantize || profile.ops.at(op) == OpPolicy::kFloat));
      }
    for (const std::string& op : profile.float_results) CHECK(profile.anchors.contains(op));
  }
}

}  // namespace roundel::target
