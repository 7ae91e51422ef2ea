#include "lib/graph/layer.h"

#include <cmath>
#include <functional>

#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace roundel::graph {
namespace {

Model Read(const std::string& body) {
  auto model =
      Parse(StrCat("opset 13\ngraph g (float32 x, float32 v) => (float32 y) {\n", body, "}\n"));
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  return std::move(*model);
}

WeightedLayer Layer(const Model& model) {
  std::string why;
  const auto layer = LayerProducing(*model.graph, "y", &why);
  INFO(why);
  REQUIRE(layer);
  return *layer;
}

// Elements of a weight as (out channel, in channel, kernel) triples of `places`, by the operators'
// specifications: Conv [M, C/g, k], ConvTranspose [C, M/g, k], Gemm [K, N] or [N, K], MatMul [K,
// N].
void CheckPositions(const std::string& body, int64_t groups, int64_t out, int64_t in,
                    int64_t kernel,
                    const std::function<int64_t(int64_t o, int64_t i, int64_t k)>& place) {
  INFO(body);
  const Model model = Read(body);
  const WeightedLayer layer = Layer(model);
  CHECK(layer.groups == groups);
  CHECK(layer.out_channels() == out);
  CHECK(layer.in_channels() == in);
  CHECK(layer.kernel == kernel);
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t o = 0; o < layer.out_per_group; ++o)
      for (int64_t i = 0; i < layer.in_per_group; ++i)
        for (int64_t k = 0; k < kernel; ++k)
          CHECK(layer.Index(g, o, i, k) ==
                place(g * layer.out_per_group + o, g * layer.in_per_group + i, k));
}

TEST_CASE("channels lie where the operators' specifications say") {
  CheckPositions("float32[6,4,2,3] w = zeros\ny = Conv(x, w)\n", 1, 6, 4, 6,
                 [](int64_t o, int64_t i, int64_t k) { return (o * 4 + i) * 6 + k; });
  CheckPositions("float32[6,2,3] w = zeros\ny = Conv<group=2>(x, w)\n", 2, 6, 4, 3,
                 [](int64_t o, int64_t i, int64_t k) { return (o * 2 + i % 2) * 3 + k; });
  CheckPositions("float32[4,6,2] w = zeros\ny = ConvTranspose(x, w)\n", 1, 6, 4, 2,
                 [](int64_t o, int64_t i, int64_t k) { return (i * 6 + o) * 2 + k; });
  CheckPositions("float32[4,3,2] w = zeros\ny = ConvTranspose<group=2>(x, w)\n", 2, 6, 4, 2,
                 [](int64_t o, int64_t i, int64_t k) { return (i * 3 + o % 3) * 2 + k; });
  CheckPositions("float32[4,6] w = zeros\ny = Gemm(x, w)\n", 1, 6, 4, 1,
                 [](int64_t o, int64_t i, int64_t) { return i * 6 + o; });
  CheckPositions("float32[6,4] w = zeros\ny = Gemm<transB=1>(x, w)\n", 1, 6, 4, 1,
                 [](int64_t o, int64_t i, int64_t) { return o * 4 + i; });
  CheckPositions("float32[4,6] w = zeros\ny = MatMul(x, w)\n", 1, 6, 4, 1,
                 [](int64_t o, int64_t i, int64_t) { return i * 6 + o; });
}

TEST_CASE("depthwise means one input and one output per group") {
  CHECK(Layer(Read("float32[4,1,3] w = zeros\ny = Conv<group=4>(x, w)\n")).depthwise());
  CHECK_FALSE(Layer(Read("float32[8,1,3] w = zeros\ny = Conv<group=4>(x, w)\n")).depthwise());
  CHECK_FALSE(Layer(Read("float32[1,1,3] w = zeros\ny = Conv(x, w)\n")).depthwise());
}

TEST_CASE("biases as they are added") {
  const auto bias = [](const std::string& body) {
    const Model model = Read(body);
    return ReadBias(*model.graph, Layer(model));
  };
  const std::string w = "float32[3,2] w = zeros\n";
  CHECK(bias(w + "y = Gemm(x, w)\n") == std::vector<double>{0, 0});
  CHECK(bias(w + "float32[2] b = {1, 2}\ny = Gemm<beta=3.0>(x, w, b)\n") ==
        std::vector<double>{3, 6});
  CHECK(bias(w + "float32[] b = {5}\ny = Gemm(x, w, b)\n") == std::vector<double>{5, 5});
  CHECK(bias(w + "float32[1,2] b = {1, 2}\nm = MatMul(x, w)\ny = Add(b, m)\n") ==
        std::vector<double>{1, 2});
  CHECK(bias("float32[2,3,1] w = zeros\nfloat16[2] b = {1, 2}\ny = Conv(x, w, b)\n") ==
        std::vector<double>{1, 2});
}

TEST_CASE("an Add behind a MatMul is its bias only if nothing speaks against it") {
  const std::string w = "float32[3,2] w = zeros\n", m = w + "m = MatMul(x, w)\n";
  const auto has_bias = [](const std::string& body) {
    const Model model = Read(body);
    std::string why;
    Node* matmul = model.graph->nodes()[0].get();
    return MatchLayer(*model.graph, matmul, &why)->bias_add != nullptr;
  };
  CHECK(has_bias("float32[2] b = ones\n" + m + "y = Add(m, b)\n"));
  CHECK_FALSE(has_bias("float32[3] b = ones\n" + m + "y = Add(m, b)\n"));
  CHECK_FALSE(has_bias("float32[2,1] b = ones\n" + m + "y = Add(m, b)\n"));
  CHECK_FALSE(has_bias("float32[1,1,2] b = ones\n" + m + "y = Add(m, b)\n"));  // adds an axis
  CHECK_FALSE(has_bias("float32[2] b = ones\n" + m + "y = Add(m, b)\nz = Relu(m)\n"));
  CHECK_FALSE(has_bias(m + "y = Add(m, v)\n"));
  CHECK_FALSE(has_bias(m + "y = Add(m, m)\n"));
}

TEST_CASE("what is no layer, and why") {
  const auto why = [](const std::string& body) {
    const Model model = Read(body);
    std::string reason;
    CHECK_FALSE(MatchLayer(*model.graph, model.graph->nodes()[0].get(), &reason));
    return reason;
  };
  CHECK(why("y = Relu(x)\n") == "is not Conv, ConvTranspose, Gemm or MatMul");
  CHECK(why("y = Conv(x, v)\n") == "its weight is not a constant");
  CHECK(why("float32[2,3] w = zeros\ny = MatMul(w, x)\n") == "its weight is not a constant");
  CHECK(why("int8[2,3,1] w = zeros\ny = Conv(x, w)\n") == "its weight is not of a floating type");
  CHECK(why("float32[2,3] w = zeros\ny = Conv(x, w)\n") == "its weight has less than three axes");
  CHECK(why("float32[3,3,1] w = zeros\ny = Conv<group=2>(x, w)\n") ==
        "its group does not divide its channels");
  CHECK(why("float32[3,3,1] w = zeros\ny = Conv<group=0>(x, w)\n") ==
        "its group does not divide its channels");
  CHECK(why("float32[0,3,1] w = {}\ny = Conv(x, w)\n") == "its weight is empty");
  CHECK(why("float32[2,3] w = zeros\ny = Gemm<transA=1>(x, w)\n") ==
        "its input is transposed (transA)");
  CHECK(why("float32[1,2,3] w = zeros\ny = MatMul(x, w)\n") == "its weight is not a matrix");
  const char* bias = "its bias is not a constant of one value per output channel";
  CHECK(why("float32[2,3,1] w = zeros\ny = Conv(x, w, v)\n") == bias);
  CHECK(why("float32[2,3,1] w = zeros\nfloat32[3] b = zeros\ny = Conv(x, w, b)\n") == bias);
  CHECK(why("float32[3,2] w = zeros\nfloat32[4,2] b = zeros\ny = Gemm(x, w, b)\n") == bias);
}

TEST_CASE("where a constant per input channel reaches all outputs alike") {
  const auto uniform = [](const std::string& weight, const std::string& node) {
    return InputShiftIsUniform(Layer(Read(StrCat("float32", weight, " w = zeros\n", node, "\n"))));
  };
  CHECK(uniform("[2,3,3,3]", "y = Conv(x, w)"));
  CHECK(uniform("[2,3,3,3]", "y = Conv<pads=[0,0,0,0], strides=[2,2]>(x, w)"));
  CHECK(uniform("[2,3,3,3]", "y = Conv<auto_pad=\"VALID\">(x, w)"));
  CHECK_FALSE(uniform("[2,3,3,3]", "y = Conv<pads=[0,0,1,0]>(x, w)"));
  CHECK_FALSE(uniform("[2,3,3,3]", "y = Conv<auto_pad=\"SAME_UPPER\">(x, w)"));
  CHECK(uniform("[2,3,1,1]", "y = Conv<auto_pad=\"SAME_UPPER\">(x, w)"));
  CHECK(uniform("[2,3]", "y = MatMul(x, w)"));
  CHECK(uniform("[2,3,1,1]", "y = ConvTranspose(x, w)"));
  CHECK_FALSE(uniform("[2,3,1,1]", "y = ConvTranspose<strides=[2,2]>(x, w)"));
  CHECK_FALSE(uniform("[2,3,2,2]", "y = ConvTranspose(x, w)"));
  CHECK_FALSE(uniform("[2,3,1,1]", "y = ConvTranspose<output_padding=[1,0]>(x, w)"));
}

TEST_CASE("constants that others read are copied, those of Constant nodes replaced in place") {
  Model model = Read(
      "float32[1] c = {1}\na = Add(x, c)\nb = Add(x, c)\n"
      "d = Constant<value=float32[1]{7}>()\ny = Add(a, d)\n");
  Graph& graph = *model.graph;
  ReplaceConstant(&graph, graph.nodes()[0].get(), 1, Tensor::FromVector<float>({1}, {2}));
  CHECK(graph.Constant(graph.nodes()[0]->input(1))->span<float>()[0] == 2.0f);
  CHECK(graph.Constant(graph.nodes()[1]->input(1))->span<float>()[0] == 1.0f);
  ReplaceConstant(&graph, graph.nodes()[1].get(), 1, Tensor::FromVector<float>({1}, {3}));
  CHECK(graph.FindInitializer("c")->span<float>()[0] == 3.0f);  // now its own
  Node* last = graph.nodes().back().get();
  ReplaceConstant(&graph, last, 1, Tensor::FromVector<float>({1}, {4}));
  CHECK(graph.nodes().size() == 4);  // callers walk over the nodes
  CHECK(graph.Constant(last->input(1))->span<float>()[0] == 4.0f);
  RemoveNodeAndConstants(&graph, graph.nodes()[0].get());
  CHECK_FALSE(graph.FindInitializer("c_1"));
  CHECK(graph.FindInitializer("c"));
}

TEST_CASE("numbers pass through all real types") {
  for (const DType type : {DType::kFloat, DType::kDouble, DType::kFloat16, DType::kBfloat16}) {
    const std::vector<double> values = {1, -0.5, 0, 256};
    CHECK(ToDoubles(FromDoubles(values, type, {2, 2})) == values);
  }
  CHECK(ToDoubles(FromDoubles({1.0 / 3}, DType::kDouble, {1}))[0] == 1.0 / 3);
  CHECK_FALSE(AllFinite({1, NAN}));
  CHECK_FALSE(AllFinite({1, -INFINITY}));
  const Model model = Read("float16[1,1,1] w = {1}\ny = Conv(x, w)\n");
  CHECK(FitsWeightType(*model.graph, Layer(model), {65504}));
  CHECK_FALSE(FitsWeightType(*model.graph, Layer(model), {65536}));
}

}  // namespace
}  // namespace roundel::graph
