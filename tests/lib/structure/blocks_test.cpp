// Blocks of small networks of known kinds, written as graphs. Sizes do not matter here: blocks
// follow from the graph alone.

#include "lib/structure/blocks.h"

#include <string>
#include <vector>

#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace roundel::structure {
namespace {

// Layers are l1, l2, ... with the weight w; d1, ... are depthwise convolutions with the weight v.
graph::Model Network(const std::string& nodes, const std::string& inputs = "float32[N,4,8,8] x",
                     const std::string& outputs = "float32[?] y") {
  const auto model =
      graph::Parse(StrCat("opset 17, com.microsoft 1\ngraph g (", inputs, ") => (", outputs, R"() {
    float32[4,4,1,1] w = ones
    float32[4,1,1,1] v = ones
    float32[4,4] m = ones
    float32[9,4] table = ones
    float32[4] gamma = ones
    float32[1] one = {1}
    int64[1] zero = {0}
    )",
                          nodes, "}"));
  INFO(model.status().message());
  REQUIRE(model.ok());
  return graph::Clone(*model);
}

// "l1 l2 | l3": the layers of each block, by their results.
std::string Layers(const graph::Model& model, const BlockOptions& options = {}) {
  std::vector<std::string> texts;
  for (const Block& block : FindBlocks(model, options)) {
    std::vector<std::string> names;
    for (const size_t layer : block.layers) names.push_back(model.graph->nodes()[layer]->output(0));
    texts.push_back(Join(names, " "));
  }
  return Join(texts, " | ");
}

std::string Ends(const graph::Model& model) {
  std::vector<std::string> texts;
  for (const Block& block : FindBlocks(model)) texts.push_back(Join(block.outputs, " "));
  return Join(texts, " | ");
}

TEST_CASE("inverted residuals are blocks, as are the first and the last layer") {
  const graph::Model model = Network(R"(
    l1 = Conv(x, w)            r1 = Clip(l1, one, one)
    d2 = Conv<group=4>(r1, v)  r2 = Clip(d2, one, one)
    l3 = Conv(r2, w)
    l4 = Conv(l3, w)           r4 = Clip(l4, one, one)
    d5 = Conv<group=4>(r4, v)  r5 = Clip(d5, one, one)
    l6 = Conv(r5, w)
    l7 = Conv(l6, w)           r7 = Clip(l7, one, one)
    d8 = Conv<group=4>(r7, v)  r8 = Clip(d8, one, one)
    l9 = Conv(r8, w)           a9 = Add(l6, l9)
    l10 = Conv(a9, w)          r10 = Clip(l10, one, one)
    p = GlobalAveragePool(r10) f = Flatten(p)
    y = Gemm(f, m)
  )");
  CHECK(Layers(model) == "l1 | d2 l3 | l4 d5 l6 | l7 d8 l9 | l10 | y");
  // Clipped values are targets, and maps rather than their means.
  CHECK(Ends(model) == "r1 | l3 | l6 | a9 | r10 | y");
}

TEST_CASE("a basic block of a residual network ends after the activation of its sum") {
  const graph::Model model = Network(R"(
    l1 = Conv(x, w)   r1 = Relu(l1)  p1 = MaxPool<kernel_shape=[2,2]>(r1)
    l2 = Conv(p1, w)  r2 = Relu(l2)  l3 = Conv(r2, w)  a3 = Add(l3, p1)  r3 = Relu(a3)
    l4 = Conv(r3, w)  r4 = Relu(l4)  l5 = Conv(r4, w)  l6 = Conv(r3, w)
    a6 = Add(l5, l6)  r6 = Relu(a6)
    p6 = ReduceMean(r6)
    y = MatMul(p6, m)
  )");
  CHECK(Layers(model) == "l1 | l2 l3 | l4 l5 l6 | y");
  CHECK(Ends(model) == "p1 | r3 | r6 | y");
}

TEST_CASE("a chain is cut after every fourth layer, a depthwise one with its successor") {
  const graph::Model chain = Network(R"(
    l1 = Conv(x, w)   r1 = Relu(l1)
    l2 = Conv(r1, w)  r2 = Relu(l2)
    l3 = Conv(r2, w)  r3 = Relu(l3)
    l4 = Conv(r3, w)  r4 = Relu(l4)
    l5 = Conv(r4, w)  r5 = Relu(l5)
    l6 = Conv(r5, w)  r6 = Relu(l6)
    y = Conv(r6, w)
  )");
  CHECK(Layers(chain) == "l1 | l2 l3 l4 l5 | l6 | y");
  CHECK(Layers(chain, {.max_layers = 1}) == "l1 | l2 | l3 | l4 | l5 | l6 | y");
  CHECK(Layers(chain, {.max_layers = 3}) == "l1 l2 l3 | l4 l5 l6 | y");
  CHECK(Layers(chain, {.max_layers = 100}) == "l1 l2 l3 l4 l5 l6 y");
  CHECK(Layers(chain, {.max_layers = 100, .max_weights = 32}) == "l1 l2 | l3 l4 | l5 l6 | y");
  const graph::Model depthwise = Network(R"(
    l1 = Conv(x, w)            r1 = Relu(l1)
    d2 = Conv<group=4>(r1, v)  r2 = Relu(d2)
    l3 = Conv(r2, w)           r3 = Relu(l3)
    d4 = Conv<group=4>(r3, v)  r4 = Relu(d4)
    l5 = Conv(r4, w)           r5 = Relu(l5)
    y = Conv(r5, w)
  )");
  CHECK(Layers(depthwise, {.max_layers = 4}) == "l1 d2 l3 | d4 l5 y");
}

TEST_CASE("gates and joined branches belong to the chain before them") {
  const graph::Model fire = Network(R"(
    l1 = Conv(x, w)   r1 = Relu(l1)
    l2 = Conv(r1, w)  r2 = Relu(l2)
    l3 = Conv(r2, w)  r3 = Relu(l3)
    l4 = Conv(r2, w)  r4 = Relu(l4)
    c4 = Concat<axis=1>(r3, r4)
    l5 = Conv(c4, w)  r5 = Relu(l5)
    y = Conv(r5, w)
  )");
  CHECK(Layers(fire) == "l1 | l2 l3 l4 | l5 | y");
  const graph::Model gated = Network(R"(
    l1 = Conv(x, w)            r1 = Relu(l1)
    l2 = Conv(r1, w)           s2 = Sigmoid(l2)  r2 = Mul(l2, s2)
    d3 = Conv<group=4>(r2, v)  r3 = Relu(d3)
    p3 = GlobalAveragePool(r3)
    l4 = Conv(p3, w)           r4 = Relu(l4)
    l5 = Conv(r4, w)           s5 = Sigmoid(l5)
    g5 = Mul(r3, s5)
    l6 = Conv(g5, w)
    l7 = Conv(l6, w)           r7 = Relu(l7)
    y = Conv(r7, w)
  )");
  CHECK(Layers(gated) == "l1 | l2 d3 l4 l5 l6 | l7 | y");
}

TEST_CASE("a decoder's attention and its perceptron are blocks, with masks and tables beside") {
  const graph::Model model = Network(R"(
    e = Gather(table, ids)
    n1 = LayerNormalization(e, gamma)
    q = MatMul(n1, m)  k = MatMul(n1, m)  u = MatMul(n1, m)
    frequencies = Cast<to=1>(positions)
    angles = MatMul(frequencies, one_term)
    cos = Cos(angles)
    qr = Mul(q, cos)  kr = Mul(k, cos)  kt = Transpose(kr)
    s = MatMul(qr, kt)
    f = Cast<to=1>(mask)
    sm = Add(s, f)
    p = Softmax(sm)
    t = MatMul(p, u)
    o = MatMul(t, m)
    a1 = Add(e, o)
    n2 = LayerNormalization(a1, gamma)
    g = MatMul(n2, m)  h = MatMul(n2, m)  sg = Sigmoid(g)  gh = Mul(sg, h)
    down = MatMul(gh, m)
    a2 = Add(a1, down)
    n3 = LayerNormalization(a2, gamma)
    y = MatMul(n3, m)
    float32[1,4] one_term = ones
  )",
                                     "int64[N,S] ids, int64[N,S] positions, int64[N,S] mask");
  CHECK(Layers(model) == "q k u o | g h down | y");
  CHECK(Layers(model, {.max_layers = 7}) == "q k u o g h down | y");
  const std::vector<Block> blocks = FindBlocks(model);
  CHECK(blocks[0].inputs == std::vector<std::string>{"e", "f", "cos"});
  CHECK(blocks[0].outputs == std::vector<std::string>{"a1"});
  CHECK(blocks[1].inputs == std::vector<std::string>{"a1"});
  CHECK(blocks[2].outputs == std::vector<std::string>{"y"});
}

TEST_CASE("fused norms end blocks with the sum and its norm") {
  const graph::Model model = Network(R"(
    n1 = SimplifiedLayerNormalization(x, gamma)
    l1 = MatMul(n1, m)  r1 = Relu(l1)  l2 = MatMul(r1, m)
    n2, "", "", s2 = com.microsoft.SkipSimplifiedLayerNormalization(x, l2, gamma)
    l3 = MatMul(n2, m)  r3 = Relu(l3)  l4 = MatMul(r3, m)
    n4 = com.microsoft.SkipSimplifiedLayerNormalization(s2, l4, gamma)
    y = MatMul(n4, m)
  )");
  CHECK(Layers(model) == "l1 l2 | l3 l4 | y");
  const std::vector<Block> blocks = FindBlocks(model);
  CHECK(blocks[0].outputs == std::vector<std::string>{"n2", "s2"});
  CHECK(blocks[0].targets == 2);
}

TEST_CASE("heads are blocks of their own") {
  const graph::Model model = Network(R"(
    l1 = Conv(x, w)   r1 = Relu(l1)
    l2 = Conv(r1, w)  r2 = Relu(l2)
    l3 = Conv(r2, w)  r3 = Relu(l3)  l4 = Conv(r3, w)  s4 = Sigmoid(l4)
    l5 = Conv(r2, w)  r5 = Relu(l5)  l6 = Conv(r5, w)  p6 = Softmax(l6)
    z = Concat<axis=1>(s4, p6)
  )",
                                     "float32[N,4,8,8] x", "float32[?] s4, float32[?] z");
  CHECK(Layers(model) == "l1 | l2 | l3 l4 | l5 l6");
  CHECK(Ends(model) == "r1 | r2 | s4 | l6");  // not the probabilities
}

TEST_CASE("an operator without a gradient ends the block before it") {
  const graph::Model model = Network(R"(
    l1 = Conv(x, w)   r1 = Relu(l1)
    l2 = Conv(r1, w)  r2 = Relu(l2)
    l3 = Conv(r2, w)  h3 = Hardmax(l3)
    l4 = Conv(h3, w)  a4 = Add(l4, r2)
    y = Conv(a4, w)
  )");
  const BlockOptions options{.max_layers = 100, .why_no_gradient = [](const graph::Node& node) {
                               return node.Is("Hardmax") ? "no rule" : std::string();
                             }};
  CHECK(Layers(model, options) == "l1 l2 l3 | l4 y");
  const std::vector<Block> blocks = FindBlocks(model, options);
  CHECK(blocks[0].boundary == "Hardmax producing 'h3': no rule");
  CHECK(blocks[0].outputs == std::vector<std::string>{"l3", "r2"});
  CHECK(blocks[1].inputs == std::vector<std::string>{"l3", "r2"});
}

TEST_CASE("sizes are computed in the block that needs them, if it reads what has the size") {
  const graph::Model model = Network(R"(
    l1 = Conv(x, w)   r1 = Relu(l1)
    size = Shape(r1)  batch = Gather(size, zero)
    l2 = Conv(r1, w)  f2 = Reshape(l2, batch)
    y = MatMul(f2, m)
  )");
  const std::vector<Block> blocks = FindBlocks(model);
  REQUIRE(blocks.size() == 3);
  CHECK(blocks[0].outputs == std::vector<std::string>{"r1"});
  CHECK(blocks[1].inputs == std::vector<std::string>{"r1"});
  CHECK(blocks[1].nodes.size() == 4);
}

TEST_CASE("networks without layers, or with layers that nothing connects") {
  CHECK(FindBlocks(Network("y = Relu(x)")).empty());
  CHECK(FindBlocks(Network("s = Shape(x) y = Cast<to=1>(s)")).empty());
  const graph::Model two = Network("l1 = Conv(x, w)  y = Relu(l1)  l2 = Conv(z, w)",
                                   "float32[?] x, float32[?] z", "float32[?] y, float32[?] l2");
  CHECK(Layers(two) == "l1 | l2");
}

}  // namespace
}  // namespace roundel::structure
