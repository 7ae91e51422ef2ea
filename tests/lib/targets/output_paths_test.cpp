// On which ways values reach the outputs of a graph.

#include <set>

#include "lib/graph/text.h"
#include "lib/targets/output_paths.h"
#include "tests/support/catch.h"

namespace roundel::target {
namespace {

using Names = std::set<std::string>;

OutputPaths Paths(const std::string& text) {
  const auto model = graph::Parse(text);
  INFO(model.status().message());
  REQUIRE(model.ok());
  return FindOutputPaths(*model->graph);
}

// Those of `names` that the set holds.
Names Of(const std::unordered_set<std::string>& set, const Names& names) {
  Names found;
  for (const std::string& name : names)
    if (set.contains(name)) found.insert(name);
  return found;
}

}  // namespace

TEST_CASE("a detector: score maps are direct, what leads to them is local") {
  const OutputPaths paths = Paths(R"(opset 13
graph g (float32[1,3,8,8] x) => (float32[1,64,1] score, float32[1,64,4] box) {
  float32[4,3,1,1] w = ones
  float32[1,4,1,1] v = ones
  float32[4,4,1,1] u = ones
  int64[3] s = {1, 64, 1}
  int64[3] b = {1, 64, 4}
  h = Conv(x, w)
  r = Relu(h)
  c = Conv(r, v)
  t = Transpose<perm=[0,2,3,1]>(c)
  f = Reshape(t, s)
  score = Sigmoid(f)
  d = Conv(r, u)
  box = Reshape(d, b)
})");
  const Names all = {"x", "h", "r", "c", "t", "f", "score", "d", "box"};
  CHECK(Of(paths.direct, all) == Names{"c", "t", "f", "score", "d", "box"});
  CHECK(Of(paths.local, all) == all);
}

TEST_CASE("a classifier: a mean, or layers behind a Flatten, end the way") {
  const Names all = {"x", "h", "m", "f", "y"};
  const OutputPaths mean = Paths(R"(opset 13
graph g (float32[1,3,8,8] x) => (float32[1,5] y) {
  float32[4,3,1,1] w = ones
  float32[4,5] v = ones
  h = Conv(x, w)
  m = GlobalAveragePool(h)
  f = Flatten(m)
  y = Gemm(f, v)
})");
  // The largest of the classes stays the largest.
  CHECK(Of(mean.direct, all).empty());
  CHECK(Of(mean.local, all).empty());
  // A probability for each class of its own is looked at for its value.
  const OutputPaths tags = Paths(R"(opset 13
graph g (float32[1,3,8,8] x) => (float32[1,5] y) {
  float32[4,3,1,1] w = ones
  float32[4,5] v = ones
  h = Conv(x, w)
  m = GlobalAveragePool(h)
  f = Flatten(m)
  g = Gemm(f, v)
  y = Sigmoid(g)
})");
  CHECK(Of(tags.direct, {"m", "f", "g"}) == Names{"g"});
  const OutputPaths flat = Paths(R"(opset 13
graph g (float32[1,3,8,8] x) => (float32[1,5] y) {
  float32[4,3,1,1] w = ones
  float32[256,5] v = ones
  h = Conv(x, w)
  m = Relu(h)
  f = Flatten(m)
  y = Gemm(f, v)
})");
  CHECK(Of(flat.local, all).empty());
  // A Flatten that only shapes the output does not.
  const OutputPaths shaped = Paths(R"(opset 13
graph g (float32[1,3,8,8] x) => (float32[1,256] y) {
  float32[4,3,1,1] w = ones
  h = Conv(x, w)
  m = Relu(h)
  y = Flatten(m)
})");
  CHECK(Of(shaped.direct, all) == Names{"h", "m", "y"});
  CHECK(Of(shaped.local, all) == Names{"x", "h", "m", "y"});
}

TEST_CASE("a product of two activations mixes places") {
  const OutputPaths paths = Paths(R"(opset 13
graph g (float32[1,4,8] q, float32[1,4,8] k, float32[1,4,8] v) => (float32[1,4,8] y) {
  float32[8,8] w = ones
  t = Transpose<perm=[0,2,1]>(k)
  a = MatMul(q, t)
  p = Softmax(a)
  c = MatMul(p, v)
  s = Add(c, q)
  y = MatMul(s, w)
})");
  CHECK(Of(paths.local, {"q", "k", "v", "a", "p", "c", "s", "y"}) == Names{"q", "c", "s", "y"});
  CHECK(Of(paths.direct, {"c", "s", "y"}) == Names{"y"});
}

TEST_CASE("custom operators end the way") {
  const OutputPaths paths = Paths(R"(opset 13, my.ops 1
graph g (float32[1,4] x) => (float32[1,4] y) {
  s = my.ops.Sigmoid(x)
  y = Relu(s)
})");
  CHECK(Of(paths.local, {"x", "s", "y"}) == Names{"s", "y"});
}

}  // namespace roundel::target
