// Models in float16, bfloat16 and float64 against ONNX Runtime: on the same float16 file, and for the others,
// which its CPU kernels do not run, on the float32 model of the same weights.

#include <catch2/catch.hpp>

#include <cmath>

#include "lib/engine/executor.h"
#include "lib/graph/text.h"
#include "lib/io/onnx.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/retype.h"
#include "tests/support/vector_source.h"

namespace roundel {
namespace {

using support::Retyped;

struct Net {
  const char* name;
  const char* text;
  Shape input;
};

const Net kConvNet = {"conv", R"(opset 17
graph g (float32[N,3,17,15] x) => (float32[N,10] y) {
  float32[16,3,3,3] w1 = random(1)
  float32[16] b1 = random(2)
  float32[16] g1 = random(3, 0.5, 1.5)
  float32[16] n1 = random(4)
  float32[16] m1 = random(5)
  float32[16] v1 = random(6, 0.5, 1.5)
  float32[16,1,3,3] w2 = random(7)
  float32[24,16,1,1] w3 = random(8, -0.4, 0.4)
  float32[24,24,1,1] w4 = random(9, -0.3, 0.3)
  float32[24,10] w5 = random(10, -0.3, 0.3)
  float32[10] b5 = random(11)
  float32[] lo = {0}
  float32[] hi = {6}
  float32[4] twice = {1, 1, 2, 2}
  c1 = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w1, b1)
  n = BatchNormalization(c1, g1, n1, m1, v1)
  r1 = Clip(n, lo, hi)
  c2 = Conv<pads=[1,1,1,1], group=16>(r1, w2)
  r2 = Relu(c2)
  c3 = Conv(r2, w3)
  s = Sigmoid(c3)
  c4 = Mul(c3, s)
  c5 = Conv(c4, w4)
  a = Add(c4, c5)
  u = Resize<mode="linear">(a, "", twice)
  p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(u)
  m = GlobalAveragePool(p)
  f = Flatten(m)
  y = Gemm(f, w5, b5)
})", {2, 3, 17, 15}};

// One layer of an encoder, its normalisation as an operator and its Gelu written out.
const Net kTransformer = {"transformer", R"(opset 17
graph g (float32[N,7,32] x) => (float32[N,7,32] y) {
  float32[32] g1 = random(1, 0.5, 1.5)
  float32[32] b1 = random(2)
  float32[32,96] wqkv = random(3, -0.3, 0.3)
  float32[96] bqkv = random(4)
  float32[32,32] wo = random(5, -0.3, 0.3)
  float32[32] g2 = random(6, 0.5, 1.5)
  float32[32] b2 = random(7)
  float32[32,64] wi = random(8, -0.3, 0.3)
  float32[64,32] wf = random(9, -0.2, 0.2)
  float32[] root = {1.4142135}
  float32[] one = {1}
  float32[] half = {0.5}
  float32[] scale = {0.35355338}
  int64[4] heads = {0, 7, 4, 8}
  int64[3] joined = {0, 7, 32}
  int64[3] sizes = {32, 32, 32}
  n1 = LayerNormalization(x, g1, b1)
  qkv0 = MatMul(n1, wqkv)
  qkv = Add(qkv0, bqkv)
  q0, k0, v0 = Split<axis=2>(qkv, sizes)
  q1 = Reshape(q0, heads)
  q = Transpose<perm=[0,2,1,3]>(q1)
  k1 = Reshape(k0, heads)
  k = Transpose<perm=[0,2,3,1]>(k1)
  v1 = Reshape(v0, heads)
  v = Transpose<perm=[0,2,1,3]>(v1)
  s0 = MatMul(q, k)
  s1 = Mul(s0, scale)
  s = Softmax(s1)
  o0 = MatMul(s, v)
  o1 = Transpose<perm=[0,2,1,3]>(o0)
  o2 = Reshape(o1, joined)
  o = MatMul(o2, wo)
  h = Add(x, o)
  n2 = LayerNormalization(h, g2, b2)
  i = MatMul(n2, wi)
  e0 = Div(i, root)
  e1 = Erf(e0)
  e2 = Add(e1, one)
  e3 = Mul(i, e2)
  e = Mul(e3, half)
  f = MatMul(e, wf)
  y = Add(h, f)
})", {2, 7, 32}};

graph::Model Parse(const Net& net) {
  auto model = graph::Parse(net.text);
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  return std::move(*model);
}

Tensor Run(const graph::Model& model, const Tensor& x, bool fast) {
  auto executor = engine::Executor::Create(model, {.fast_kernels = fast});
  INFO((executor.ok() ? "" : executor.status().message()));
  REQUIRE(executor.ok());
  auto outputs = (*executor)->Run({x});
  INFO((outputs.ok() ? "" : outputs.status().message()));
  REQUIRE(outputs.ok());
  return (*outputs)[0];
}

Tensor RunInOrt(const graph::Model& model, const Tensor& x, const e2e::ScratchFolder& scratch) {
  const std::string file = scratch.File("model.onnx");
  REQUIRE(io::WriteOnnx(model, file).ok());
  auto results = e2e::RunOrt({{.model = file, .inputs = {{"x", x}}}}, scratch.path());
  INFO((results.ok() ? "" : results.status().message()));
  REQUIRE(results.ok());
  return (*results)[0][0];
}

double Element(const Tensor& tensor, const Tensor& floats, int64_t i) {
  return tensor.dtype() == DType::kDouble ? tensor.data<double>()[i] : floats.data<float>()[i];
}

// The largest difference as a share of the largest value.
double Distance(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const Tensor fa = a.ToFloat(), fb = b.ToFloat();
  double difference = 0, largest = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double x = Element(a, fa, i), y = Element(b, fb, i);
    REQUIRE(std::isfinite(x));
    difference = std::max(difference, std::fabs(x - y));
    largest = std::max(largest, std::fabs(y));
  }
  return difference / largest;
}

bool Skipped() {
  if (e2e::OrtAvailable()) return false;
  WARN("skipped: needs node and tests/e2e/node_modules (scripts/test.sh installs them)");
  return true;
}

TEST_CASE("float16 models give ONNX Runtime's results within the type's precision") {
  if (Skipped()) return;
  for (const Net& net : {kConvNet, kTransformer}) {
    INFO(net.name);
    const e2e::ScratchFolder scratch(std::string("half-") + net.name);
    Random random(3);
    const graph::Model model = Retyped(Parse(net), DType::kFloat16);
    const Tensor x = support::RandomTensor(net.input, random).FromFloatTo(DType::kFloat16);
    const Tensor theirs = RunInOrt(model, x, scratch);
    REQUIRE(theirs.dtype() == DType::kFloat16);
    for (const bool fast : {true, false}) {
      const Tensor ours = Run(model, x, fast);
      CHECK(ours.dtype() == DType::kFloat16);
      // 11 bits; the runtimes round at different places on the way.
      CHECK(Distance(ours, theirs) < 4 * 0x1p-11);
    }
  }
}

TEST_CASE("bfloat16 models give the results of their weights in float32, within the type's precision") {
  if (Skipped()) return;
  for (const Net& net : {kConvNet, kTransformer}) {
    INFO(net.name);
    const e2e::ScratchFolder scratch(std::string("bfloat-") + net.name);
    Random random(3);
    const graph::Model wide = Parse(net), model = Retyped(wide, DType::kBfloat16);
    const Tensor x = support::RandomTensor(net.input, random).FromFloatTo(DType::kBfloat16);
    const Tensor theirs = RunInOrt(support::RoundedWeights(wide, DType::kBfloat16), x.ToFloat(), scratch);
    const Tensor fast = Run(model, x, true), plain = Run(model, x, false);
    CHECK(fast.dtype() == DType::kBfloat16);
    CHECK(plain.dtype() == DType::kBfloat16);
    CHECK(Distance(fast, theirs) < 0x1p-8);      // rounded once, at the end
    CHECK(Distance(plain, theirs) < 6 * 0x1p-8);  // rounded after every node
  }
}

// ONNX Runtime has neither Conv nor Erf in double: its float32 results tell as much as they can.
TEST_CASE("float64 models give ONNX Runtime's float32 results, in double") {
  if (Skipped()) return;
  for (const Net& net : {kConvNet, kTransformer}) {
    INFO(net.name);
    const e2e::ScratchFolder scratch(std::string("double-") + net.name);
    Random random(3);
    const graph::Model single = Parse(net), model = Retyped(single, DType::kDouble);
    const Tensor x = support::RandomTensor(net.input, random), wide = x.FromFloatTo(DType::kDouble);
    const Tensor theirs = RunInOrt(single, x, scratch);
    for (const bool fast : {true, false}) {
      const Tensor ours = Run(model, wide, fast);
      CHECK(ours.dtype() == DType::kDouble);
      CHECK(Distance(ours, theirs) < 1e-5);
    }
  }
}

TEST_CASE("a float16 model still takes and gives float16 only") {
  const graph::Model model = Retyped(Parse(kTransformer), DType::kFloat16);
  for (const bool fast : {true, false}) {
    auto executor = engine::Executor::Create(model, {.fast_kernels = fast});
    REQUIRE(executor.ok());
    const auto result = (*executor)->Run({Tensor::Zeros(DType::kFloat, {1, 7, 32})});
    REQUIRE_FALSE(result.ok());
    CHECK_THAT(result.status().message(),
               Catch::Contains("'x'") && Catch::Contains("float16") && Catch::Contains("float32"));
  }
}

}  // namespace
}  // namespace roundel
