// Loops of gradients on channels-last values, against the plain kernels.

#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

// `nodes` from c and d, channels-last as a Conv leaves them, to y: all steps are fast.
void CheckAfterConv(const std::string& nodes, const std::string& inputs, std::vector<Tensor> values,
                    const std::string& results = "float32 y", double tolerance = 2e-6) {
  const std::string text = StrCat(
      "opset 14, roundel 1\ngraph g (float32[2,5,4,6] x", inputs.empty() ? "" : ", ", inputs,
      ") => (", results, ") {\n  float32[5,5,1,1] w = random(3)\n",
      "  float32[5,5,1,1] v = random(4)\n  c = Conv(x, w)\n  d = Conv(x, v)\n", nodes, "\n}");
  INFO(text);
  values.insert(values.begin(), RandomTensor({2, 5, 4, 6}, 1));
  const graph::Model model = ParseModel(text);
  const Coverage coverage = FastCoverage(model, values);
  CHECK(coverage.fast == coverage.steps);
  CheckFastEqualsPlain(model, values, {}, tolerance);
}

// Bit for bit, for values that are no numbers.
void CheckSameBits(const graph::Model& model, const std::vector<Tensor>& inputs) {
  const std::vector<Tensor> fast = MustRun(*MustCreate(model), inputs);
  const std::vector<Tensor> plain = MustRun(*MustCreate(model, {.fast_kernels = false}), inputs);
  for (size_t i = 0; i < fast.size(); ++i) CHECK(fast[i] == plain[i]);
}

const std::string kOne = "float32[] s, float32[] z", kChannels = "float32[5] s, float32[5] z";

TEST_CASE("fake quantizers of channels-last values") {
  const Tensor scale = RandomTensor({5}, 5, 0.1, 0.2), point = RandomTensor({5}, 6, 3, 9);
  for (const char* body : {"  y = roundel.FakeQuant<qmin=0, qmax=15ATTR>(c, s, z)",
                           "  y, ds, dz = roundel.FakeQuantGrad<qmin=0, qmax=15ATTR>(d, c, s, z)",
                           "  _, ds, y = roundel.FakeQuantGrad<qmin=0, qmax=15ATTR>(d, c, s, z)"}) {
    std::string text = body;
    const bool gradient = text.find("Grad") != std::string::npos;
    const std::string results = gradient ? "float32 y, float32 ds" : "float32 y";
    const auto with = [&](const std::string& attribute) {
      std::string changed = text;
      return changed.replace(changed.find("ATTR"), 4, attribute);
    };
    CheckAfterConv(with(""), kOne, {Tensor::Scalar(0.1f), Tensor::Scalar(6.0f)}, results);
    for (const char* axis : {", axis=1", ", axis=-3"})
      CheckAfterConv(with(axis), kChannels, {scale, point}, results);
  }
}

TEST_CASE("fake quantizers by the last axis, and by blocks of channels") {
  for (const char* attributes : {"axis=3", "axis=2", "axis=0", "axis=1, block_size=2"}) {
    const std::string name = attributes;
    const Shape shape = name == "axis=3"   ? Shape{6}
                        : name == "axis=2" ? Shape{4}
                        : name == "axis=0" ? Shape{2}
                                           : Shape{2, 3, 4, 6};
    CheckFastEqualsPlain(
        ParseModel(StrCat(
            "opset 14, roundel 1\ngraph g (float32[2,5,4,6] x, float32[2,5,4,6] g, "
            "float32 s, float32 z) => (float32 y, float32 dx, float32 ds) {\n"
            "  float32[5,5,1,1] w = random(3)\n  c = Conv(x, w)\n  y = roundel.FakeQuant<",
            attributes, ", qmin=0, qmax=7>(c, s, z)\n", "  dx, ds, _ = roundel.FakeQuantGrad<",
            attributes, ", qmin=0, qmax=7>(g, c, s, z)\n}")),
        {RandomTensor({2, 5, 4, 6}, 1), RandomTensor({2, 5, 4, 6}, 2),
         RandomTensor(shape, 5, 0.1, 0.2), RandomTensor(shape, 6, 2, 5)});
  }
}

TEST_CASE("gradients of functions of one number on channels-last values") {
  for (const char* op : {"Relu", "LeakyRelu", "Sigmoid", "HardSwish", "HardSigmoid", "Elu", "Gelu"})
    CheckAfterConv(StrCat("  y = roundel.", op, "Grad(c, d)"), "", {});
  CheckAfterConv(
      "  float32[] low = {-0.2}\n  float32[] high = {0.3}\n"
      "  y = roundel.ClipGrad(c, d, low, high)",
      "", {});
  // A plain gradient, and a plain result.
  const Tensor g = RandomTensor({2, 5, 4, 6}, 9);
  CheckAfterConv("  y = roundel.ReluGrad(g, d)", "float32[2,5,4,6] g", {g});
  CheckAfterConv("  y = roundel.ReluGrad(c, g)", "float32[2,5,4,6] g", {g});
  // In place, and not.
  CheckAfterConv("  y = roundel.ReluGrad(c, d)\n  z = Relu(c)", "", {}, "float32 y, float32 z");
  CheckAfterConv("  y = roundel.ClipGrad<min=-0.1, max=0.2>(g, g)", "float32[2,5,4,6] g", {g});
  const Tensor ends = Tensor::FromVector<float>({7}, {-1, -0.0f, 0, 1e-45f, 1, INFINITY, NAN});
  const graph::Model relu = ParseModel(R"(opset 14, roundel 1
graph g (float32 d, float32 v) => (float32 y, float32 z) {
  float32[] zero = {0}
  y = roundel.ReluGrad(d, v)
  z = roundel.ClipGrad(d, v, zero)
})");
  CheckSameBits(relu, {ends, ends});
}

TEST_CASE("gradients of pooling channels-last values") {
  struct Pool {
    const char* attributes;
    Shape result;
  };
  const Pool pools[] = {{"kernel_shape=[2,2], strides=[2,2]", {2, 5, 2, 3}},
                        {"kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]", {2, 5, 2, 3}},
                        {"kernel_shape=[3,2]", {2, 5, 2, 5}},
                        {"kernel_shape=[2,3], strides=[3,2], ceil_mode=1", {2, 5, 2, 3}},
                        {"kernel_shape=[2,2], dilations=[2,3]", {2, 5, 2, 3}},
                        {"kernel_shape=[1,1], strides=[2,2]", {2, 5, 2, 3}}};
  for (const Pool& pool : pools)
    for (const char* op : {"MaxPool", "AveragePool"})
      for (const char* more : {"", ", count_include_pad=1"}) {
        if (*more && op[0] == 'M') continue;
        CheckAfterConv(StrCat("  y = roundel.", op, "Grad<", pool.attributes, more, ">(g, c)"),
                       "float32 g", {RandomTensor(pool.result, 9)});
      }
  // The first of equal values takes all.
  CheckAfterConv(
      "  e = HardSigmoid<alpha=0.0, beta=0.5>(c)\n"
      "  y = roundel.MaxPoolGrad<kernel_shape=[3,3], strides=[1,2]>(g, e)",
      "float32 g", {RandomTensor({2, 5, 2, 2}, 9)});
  CheckAfterConv("  y = roundel.GlobalAveragePoolGrad(g, c)", "float32 g",
                 {RandomTensor({2, 5, 1, 1}, 9)});
  for (const char* axes : {"[2,3]", "[-1,2]"})
    for (const int keep : {0, 1}) {
      const Shape shape = keep ? Shape{2, 5, 1, 1} : Shape{2, 5};
      CheckAfterConv(StrCat("  y = roundel.ReduceMeanGrad<forward_opset=14, axes=", axes,
                            ", keepdims=", keep, ">(g, c)"),
                     "float32 g", {RandomTensor(shape, 9)});
    }
}

TEST_CASE("gradients of moved elements") {
  struct Move {
    const char* constants;
    const char* node;  // from g, the gradient, and c, the source
    Shape result;
  };
  const Move moves[] = {
      {"int64[2] s = {1, 3}\n  int64[2] e = {9, -9}\n  int64[2] a = {1, 3}\n  int64[2] t = {2, -2}",
       "SliceGrad(g, c, s, e, a, t)",
       {2, 2, 4, 2}},
      {"int64[8] p = {0, 1, 2, 0, 1, 0, 0, 3}", "PadGrad(g, c, p)", {3, 6, 6, 9}},
      {"int64[8] p = {0, 0, 2, 1, 0, 0, 1, 3}\n  float32[] fill = {7}",
       "PadGrad<mode=\"reflect\">(g, c, p, fill)",
       {2, 5, 7, 10}},
      {"int64[4] r = {1, 2, 1, 3}", "TileGrad(g, c, r)", {2, 10, 4, 18}},
      {"int64[3] i = {4, 0, 4}", "GatherGrad<axis=1>(g, c, i)", {2, 3, 4, 6}},
      {"int64[2,2] i = {4, 0, 4, 1}", "GatherGrad<axis=3>(g, c, i)", {2, 5, 4, 2, 2}},
      {"", "SpaceToDepthGrad<blocksize=2>(g, c)", {2, 20, 2, 3}},
      {"int64[8] p = {0, 0, -1, 0, 0, -2, 0, -1}", "PadGrad(g, c, p)", {2, 3, 3, 5}}};
  for (const Move& move : moves)
    for (const bool last : {false, true}) {
      // The gradient as it is fed, or as a Conv leaves it.
      const std::string eye = StrCat("  float32[", move.result[1], ",1,1,1] e1 = random(7)\n",
                                     "  g = Conv<group=", move.result[1], ">(f, e1)\n");
      const bool conv = last && move.result.size() == 4;
      CheckAfterConv(StrCat("  ", move.constants, "\n", conv ? eye : "  g = Relu(f)\n",
                            "  y = roundel.", move.node),
                     "float32 f", {RandomTensor(move.result, 9)});
    }
  // Positions that change from run to run.
  const graph::Model gather = ParseModel(R"(opset 14, roundel 1
graph g (float32[2,3] g, float32[4,3] x, int64[2] i) => (float32 y) {
  y = roundel.GatherGrad(g, x, i)
})");
  const auto executor = MustCreate(gather), plain = MustCreate(gather, {.fast_kernels = false});
  for (const std::vector<int64_t>& at : std::vector<std::vector<int64_t>>{{3, 3}, {0, 2}, {0, 2}}) {
    const std::vector<Tensor> inputs = {RandomTensor({2, 3}, 1), RandomTensor({4, 3}, 2),
                                        Tensor::FromVector<int64_t>({2}, at)};
    CHECK(MustRun(*executor, inputs)[0] == MustRun(*plain, inputs)[0]);
  }
}

TEST_CASE("gradients of norms over rows") {
  struct Norm {
    const char* node;
    Shape x, gamma;
  };
  const Norm norms[] = {
      {"y, dg, db = roundel.LayerNormGrad(g, x, gamma, gamma)", {2, 3, 37}, {37}},
      {"y, dg, db = roundel.LayerNormGrad<axis=1, epsilon=0.1>(g, x, gamma, gamma)",
       {2, 3, 7},
       {3, 7}},
      {"y, dg, db = roundel.LayerNormGrad(g, x, gamma, gamma)", {4, 1}, {1}},
      {"_, dg, y = roundel.LayerNormGrad(g, x, gamma, gamma)", {5, 16}, {16}},
      {"y, dg = roundel.RmsNormGrad(g, x, gamma)", {2, 3, 64}, {64}},
      {"y, dg = roundel.LayerNormGrad(g, x, gamma)", {3, 50}, {50}}};
  for (const Norm& norm : norms)
    CheckOneFastStep(
        StrCat("opset 17, roundel 1\ngraph g (float32 g, float32 x, float32 gamma) => "
               "(float32 y, float32 dg) {\n  ",
               norm.node, "\n}"),
        {RandomTensor(norm.x, 1), RandomTensor(norm.x, 2, 3, 5), RandomTensor(norm.gamma, 3)},
        2e-5);
}

TEST_CASE("the gradient of Concat along every axis") {
  for (int axis = -4; axis < 4; ++axis)
    for (const char* dy : {"d", "x"}) {
      Shape left = {2, 5, 4, 6}, right = left;
      const auto place = static_cast<size_t>((axis + 4) % 4);
      left[place] = 1;
      --right[place];
      CheckAfterConv(StrCat("  y, z = roundel.ConcatGrad<axis=", axis, ">(", dy, ", a, b)"),
                     "float32 a, float32 b", {RandomTensor(left, 5), RandomTensor(right, 6)},
                     "float32 y, float32 z");
    }
}

TEST_CASE("sums over the pixels of channels-last values") {
  for (const char* shape : {"2,5,4,6", "5,1,1", "1,5,1,1", "2,5,1,1"})
    CheckAfterConv(
        StrCat("  float32[", shape, "] like = random(1)\n", "  y = roundel.SumTo(c, like)"), "",
        {});
  CheckAfterConv("  y = roundel.ChannelSum(c)", "", {});
  for (const char* shape : {"2,1,4,6", "6", "2,5,4,6", "1,5,4,6"})
    CheckFastEqualsPlain(
        ParseModel(StrCat("opset 14, roundel 1\ngraph g (float32[2,5,4,6] x) => (float32 y) {\n"
                          "  float32[5,5,1,1] w = random(3)\n  float32[",
                          shape,
                          "] like = random(1)\n  c = Conv(x, w)\n  y = roundel.SumTo(c, like)\n}")),
        {RandomTensor({2, 5, 4, 6}, 1)});
}

}  // namespace
}  // namespace roundel::engine
