#include "lib/graph/match.h"

#include <cmath>

#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace roundel::graph {
namespace {

Model Read(const std::string& body, int opset = 13) {
  auto model = Parse(StrCat("opset ", opset,
                            "\ngraph g (float32[N,3,8,8] x, float32 unknown, float32[2,5] rows) => "
                            "(float32 y) {\n",
                            body, "}\n"));
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  return std::move(*model);
}

const Node& Only(const Model& model, const char* op_type) {
  for (const NodePtr& node : model.graph->nodes())
    if (node->op_type == op_type) return *node;
  FAIL("no " << op_type);
  return *model.graph->nodes().front();
}

TEST_CASE("ranks follow from declarations and from the nodes that produce a value") {
  const Model model = Read(R"(
      float32[4,3,3,3] w = zeros
      float32[5,2] m = zeros
      int64[3] s = {2, -1, 4}
      int64[2] axes = {0, 1}
      float32[1,2,3] declared
      a = Conv(unknown, w)
      b = Relu(a)
      f = Flatten(unknown)
      r = Reshape(unknown, s)
      p = MatMul(rows, m)
      q = MatMul(r, m)
      v = MatMul(unknown, m)
      d = Add(b, w)
      e = Add(b, unknown)
      u = Unsqueeze(rows, axes)
      t = Squeeze(x, axes)
      k = ReduceMean<axes=[2,3]>(x)
      l = ReduceMean<axes=[2,3], keepdims=0>(x)
      n = ReduceMean<keepdims=0>(x)
      c = Constant<value=float32[2,2,2,2,2]zeros>()
      o = NonZero(x)
      declared = NonZero(o)
      int64[] one = {1}
      int64[1] front = {0}
      g = Gather<axis=2>(q, one)
      h = Gather<axis=0>(rows, s)
      i, j = Split<axis=1>(x)
      w1 = Where(unknown, b, x)
      w2 = Where(d, b, rows)
      z = Shape(x)
      z0 = Gather<axis=0>(z, one)
      z1 = Unsqueeze(z0, front)
      z2 = Concat<axis=0>(z1, s, z1)
      y1 = Reshape(unknown, z2)
      y2 = Reshape(unknown, z)
      y3 = Expand(rows, z2)
      y4 = Expand(unknown, z2)
      y5 = ConstantOfShape(z)
      t1 = Transpose<perm=[0,2,1]>(unknown)
      t2 = Transpose(unknown)
  )");
  const auto rank = [&](const char* value) { return RankOf(*model.graph, value).value_or(-1); };
  CHECK(rank("x") == 4);
  CHECK(rank("unknown") == -1);
  CHECK(rank("a") == 4);
  CHECK(rank("b") == 4);
  CHECK(rank("f") == 2);
  CHECK(rank("r") == 3);
  CHECK(rank("p") == 2);
  CHECK(rank("q") == 3);
  CHECK(rank("v") == -1);
  CHECK(rank("d") == 4);
  CHECK(rank("e") == -1);
  CHECK(rank("u") == 4);
  CHECK(rank("t") == 2);
  CHECK(rank("k") == 4);
  CHECK(rank("l") == 2);
  CHECK(rank("n") == -1);
  CHECK(rank("c") == 5);
  CHECK(rank("o") == -1);
  CHECK(rank("declared") == 3);
  CHECK(rank("g") == 2);
  CHECK(rank("h") == 2);
  CHECK(rank("j") == 4);
  CHECK(rank("w1") == -1);
  CHECK(rank("w2") == 4);
  CHECK(rank("z") == 1);
  CHECK(rank("z0") == 0);
  CHECK(rank("y1") == 5);
  CHECK(rank("y2") == 4);
  CHECK(rank("y3") == 5);
  CHECK(rank("y4") == -1);
  CHECK(rank("y5") == 4);
  CHECK(rank("t1") == 3);
  CHECK(rank("t2") == -1);
  CHECK(rank("nowhere") == -1);
}

TEST_CASE("deep diamonds and long chains cost no more than their nodes") {
  std::string body = "v0 = Identity(unknown)\n";
  for (int i = 1; i < 200; ++i) body += StrCat("v", i, " = Add(v", i - 1, ", v", i - 1, ")\n");
  const Model diamonds = Read(body);
  CHECK_FALSE(RankOf(*diamonds.graph, "v199"));  // 2^199 paths
  std::string chain = "v0 = Relu(x)\n";
  for (int i = 1; i < 100000; ++i) chain += StrCat("v", i, " = Relu(v", i - 1, ")\n");
  CHECK_FALSE(RankOf(*Read(chain).graph, "v99999"));
}

TEST_CASE("static shapes are those that are declared in full") {
  const Model model = Read("float32[1,2,3] t\ny = Relu(x)\n");
  CHECK(StaticShapeOf(*model.graph, "t") == Shape{1, 2, 3});
  CHECK(StaticShapeOf(*model.graph, "rows") == Shape{2, 5});
  CHECK_FALSE(StaticShapeOf(*model.graph, "x"));
  CHECK_FALSE(StaticShapeOf(*model.graph, "unknown"));
}

TEST_CASE("constant operands") {
  const Model model = Read(
      "float32[1] c = {2}\na = Mul(c, x)\nb = Add(x, c)\n"
      "d = Sub(x, rows)\ne = Div(c, c)\n");
  const auto& nodes = model.graph->nodes();
  CHECK(FindConstantOperand(*model.graph, *nodes[0])->data_index == 1);
  CHECK(FindConstantOperand(*model.graph, *nodes[1])->constant_index == 1);
  CHECK_FALSE(FindConstantOperand(*model.graph, *nodes[2]));
  CHECK_FALSE(FindConstantOperand(*model.graph, *nodes[3]));
}

TEST_CASE("Pad in all its forms") {
  const auto read = [](const std::string& body, int opset) {
    const Model model = Read(body, opset);
    return ReadPad(*model.graph, Only(model, "Pad"), opset);
  };
  const auto old = read("y = Pad<pads=[0,0,1,2,0,0,3,4], value=0.5>(x)\n", 10);
  REQUIRE(old);
  CHECK(old->mode == "constant");
  CHECK(old->value == 0.5);
  CHECK(old->begin == std::vector<int64_t>{0, 0, 1, 2});
  CHECK(old->end == std::vector<int64_t>{0, 0, 3, 4});
  CHECK_FALSE(old->PadsAxis(1));
  CHECK(old->PadsAxis(3));
  const auto inputs = read(
      "int64[8] p = {0,1,0,0,0,0,0,0}\nfloat32[] v = {2}\ny = Pad<mode=\"edge\">(x, p, v)\n", 13);
  REQUIRE(inputs);
  CHECK(inputs->mode == "edge");
  CHECK(inputs->value == 2);
  CHECK(inputs->PadsAxis(1));
  const auto axes =
      read("int64[4] p = {1,0,1,0}\nint64[2] a = {-1,1}\ny = Pad(x, p, \"\", a)\n", 18);
  REQUIRE(axes);
  CHECK(axes->PadsAxis(3));
  CHECK_FALSE(axes->PadsAxis(1));
  CHECK_FALSE(read("y = Pad(x, unknown)\n", 13));
  CHECK_FALSE(read("int64[2] p = {1,1}\ny = Pad(x, p, unknown)\n", 13));
  CHECK_FALSE(read("int64[3] p = {1,1,1}\ny = Pad(x, p)\n", 13));
  CHECK_FALSE(read("int64[2] p = {1,1}\nint64[1] a = {-1}\ny = Pad(unknown, p, \"\", a)\n", 18));
}

TEST_CASE("bounds of Clip in both forms") {
  const auto read = [](const std::string& body) {
    const Model model = Read(body);
    return ReadClip(*model.graph, Only(model, "Clip"));
  };
  CHECK(read("y = Clip<min=0.0, max=6.0>(x)\n")->high == 6);
  CHECK(std::isinf(read("y = Clip<min=0.0>(x)\n")->high));
  CHECK(read("float32[] a = {-1}\ny = Clip(x, a)\n")->low == -1);
  CHECK(std::isinf(read("float32[] a = {-1}\ny = Clip(x, \"\", a)\n")->low));
  CHECK_FALSE(read("y = Clip(x, unknown)\n"));
}

TEST_CASE("what merges positions into channels") {
  const auto flattens = [](const std::string& body) {
    const Model model = Read("float32[2,3,4,4] known\nknown = Identity(x)\n" + body);
    return FlattensToChannels(*model.graph, *model.graph->nodes()[1]);
  };
  CHECK(flattens("y = Flatten(x)\n"));
  CHECK_FALSE(flattens("y = Flatten<axis=2>(x)\n"));
  CHECK(flattens("int64[2] s = {0, -1}\ny = Reshape(x, s)\n"));
  CHECK_FALSE(flattens("int64[2] s = {0, -1}\ny = Reshape<allowzero=1>(x, s)\n"));
  CHECK_FALSE(flattens("int64[2] s = {-1, 24}\ny = Reshape(x, s)\n"));  // sizes not known
  CHECK(flattens("int64[2] s = {-1, 192}\ny = Reshape(x, s)\n"));       // 3 * 8 * 8
  CHECK(flattens("int64[2] s = {-1, 48}\ny = Reshape(known, s)\n"));
  CHECK(flattens("int64[2] s = {2, -1}\ny = Reshape(known, s)\n"));
  CHECK_FALSE(flattens("int64[2] s = {1, -1}\ny = Reshape(known, s)\n"));  // merges samples
  CHECK_FALSE(flattens("int64[3] s = {0, -1, 1}\ny = Reshape(x, s)\n"));
  CHECK_FALSE(flattens("y = Reshape(x, unknown)\n"));
}

TEST_CASE("bounds along the channels") {
  const auto found = [](const std::string& body) {
    const Model model = Read(body);
    return FindChannelBound(*model.graph, Only(model, "Min")).has_value();
  };
  CHECK(found("float32[1,3,1,1] c = ones\ny = Min(x, c)\n"));
  CHECK(found("float32[3,1,1] c = ones\ny = Min(c, x)\n"));
  CHECK(found("float32[] c = ones\ny = Min(x, c)\n"));
  CHECK_FALSE(found("float32[8] c = ones\ny = Min(x, c)\n"));          // along the width
  CHECK_FALSE(found("float32[1,1,3,1,1] c = ones\ny = Min(x, c)\n"));  // adds an axis
  CHECK_FALSE(found("float32[3,1,1] c = ones\ny = Min(unknown, c)\n"));
  CHECK_FALSE(found("y = Min(x, rows)\n"));
  CHECK_FALSE(found("float32[3,1,1] c = ones\ny = Min(x, c, x)\n"));
}

}  // namespace
}  // namespace roundel::graph
