// The same bytes for any number of threads: every small model that operators are tested with, and
// layers large enough for their work to be cut into chunks.

#include "lib/base/parallel.h"
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/op_cases/attention.h"
#include "tests/support/op_cases/contrib_attention.h"
#include "tests/support/op_cases/contrib_float.h"
#include "tests/support/op_cases/contrib_integer.h"
#include "tests/support/op_cases/recent.h"
#include "tests/support/op_cases/small_types.h"

namespace roundel::engine {
namespace {

// Executors are made anew: layouts and plans may depend on threads as little as sums may.
void CheckAllThreads(const OpCase& test) {
  INFO(test.name);
  const auto made = MakeOpGraph(test);
  INFO((made.ok() ? "" : made.status().message()));
  REQUIRE(made.ok());
  const int before = Threads();
  for (const bool fast : {true, false}) {
    std::vector<std::vector<Tensor>> results;
    for (const int threads : {1, 2, 3}) {
      SetThreads(threads);
      results.push_back(MustRun(*MustCreate(made->model, {.fast_kernels = fast}), made->inputs));
    }
    INFO((fast ? "fast" : "plain"));
    CHECK(results[1] == results[0]);
    CHECK(results[2] == results[0]);
  }
  SetThreads(before);
}

// Texts in the form of op_cases: inputs and int8 initializers of `zeros` get random values.
const std::vector<OpCase> kLarge = {
    {"convolutions", R"(opset 13
graph g (float32[3,16,37,41] x) => (float32 y, float32 z) {
  float32[32,16,3,3] w = random(1)
  float32[32] b = random(2)
  float32[32,1,3,3] d = random(3)
  float32[8,32,1,1] p = random(4)
  c = Conv<pads=[1,1,1,1]>(x, w, b)
  r = Relu(c)
  e = Conv<group=32, strides=[2,2]>(r, d)
  y = Conv(e, p)
  z = GlobalAveragePool(r)
})"},
    {"batch norm, pooling, concatenation, resize", R"(opset 13
graph g (float32[2,24,33,35] x) => (float32 y, float32 z) {
  float32[24] s = random(1)
  float32[24] v = random(2, 0.5, 2)
  float32[4] scales = {1, 1, 1.7, 1.7}
  n = BatchNormalization(x, s, s, s, v)
  a = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(n)
  m = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(n)
  c = Concat<axis=1>(a, m, x)
  y = Resize<mode="linear">(c, "", scales)
  z = ReduceMean<axes=[2,3]>(c)
})"},
    {"transposed convolution", R"(opset 13
graph g (float32[2,12,19,23] x) => (float32 y) {
  float32[12,10,3,3] w = random(1)
  y = ConvTranspose<strides=[2,2]>(x, w)
})"},
    {"transformer block", R"(opset 17
graph g (float32[2,130,96] x) => (float32 y) {
  float32[96] s = random(1)
  float32[96,288] qkv = random(2, -0.2, 0.2)
  float32[96,200] up = random(3, -0.2, 0.2)
  float32[200,96] down = random(4, -0.2, 0.2)
  int64[3] three = {96, 96, 96}
  int64[4] heads = {0, 130, 6, 16}
  int64[3] flat = {0, 130, 96}
  n = LayerNormalization(x, s, s)
  p = MatMul(n, qkv)
  q, k, v = Split<axis=2>(p, three)
  q4 = Reshape(q, heads)
  k4 = Reshape(k, heads)
  v4 = Reshape(v, heads)
  qt = Transpose<perm=[0,2,1,3]>(q4)
  kt = Transpose<perm=[0,2,3,1]>(k4)
  vt = Transpose<perm=[0,2,1,3]>(v4)
  scores = MatMul(qt, kt)
  soft = Softmax<axis=3>(scores)
  mixed = MatMul(soft, vt)
  back = Transpose<perm=[0,2,1,3]>(mixed)
  out = Reshape(back, flat)
  a = Add(x, out)
  u = MatMul(a, up)
  e = Erf(u)
  g = Mul(u, e)
  d = MatMul(g, down)
  y = Add(a, d)
})"},
    {"recurrent layers", R"(opset 14
graph g (float32[9,5,70] x) => (float32 y, float32 z, float32 u) {
  float32[2,320,70] w = random(1, -0.3, 0.3)
  float32[2,320,80] r = random(2, -0.3, 0.3)
  float32[1,240,70] wg = random(3, -0.3, 0.3)
  float32[1,240,80] rg = random(4, -0.3, 0.3)
  float32[1,80,70] wr = random(5, -0.3, 0.3)
  float32[1,80,80] rr = random(6, -0.3, 0.3)
  y = LSTM<hidden_size=80, direction="bidirectional">(x, w, r)
  z = GRU<hidden_size=80>(x, wg, rg)
  u = RNN<hidden_size=80>(x, wr, rr)
})"},
    {"reductions and softmax of many values", R"(opset 13
graph g (float32[4,70001] x) => (float32 a, float32 b, float32 c, float32 d, float32 e) {
  int64[1] last = {1}
  a = ReduceSum(x, last)
  b = ReduceL2<axes=[0]>(x)
  c = Softmax<axis=1>(x)
  d = CumSum(x, last)
  e = LogSoftmax<axis=0>(x)
})"},
    {"integer layers", R"(opset 13
graph g (float32[3,16,29,31] x) => (float32 y) {
  float32[] sx = {0.03}
  uint8[] zx = {120}
  int8[24,16,3,3] w = zeros
  float32[24] sw = random(1, 0.004, 0.01)
  int8[24,1,3,3] d = zeros
  float32[] sd = {0.006}
  int8[] zd = {0}
  float32[] sc = {0.06}
  uint8[] zc = {100}
  q = QuantizeLinear(x, sx, zx)
  f = DequantizeLinear(q, sx, zx)
  wf = DequantizeLinear<axis=0>(w, sw)
  c = Conv<pads=[1,1,1,1]>(f, wf)
  cq = QuantizeLinear(c, sc, zc)
  cf = DequantizeLinear(cq, sc, zc)
  df = DequantizeLinear(d, sd, zd)
  e = Conv<group=24, pads=[1,1,1,1]>(cf, df)
  eq = QuantizeLinear(e, sc, zc)
  ef = DequantizeLinear(eq, sc, zc)
  s = Add(cf, ef)
  sq = QuantizeLinear(s, sc, zc)
  y = DequantizeLinear(sq, sc, zc)
})"},
    {"weights of few bits", R"(ir_version 8 opset 17, com.microsoft 1
graph g (float32[65,128] a) => (float32 y, float32 z) {
  uint8[96,4,16] b = zeros
  float32[384] s = random(1)
  uint8[6144] c = zeros
  float32[192] t = random(2, 0.1, 2)
  y = com.microsoft.MatMulNBits<K=128, N=96, bits=4, block_size=32>(a, b, s)
  z = com.microsoft.MatMulBnb4<K=128, N=96, block_size=64, quant_type=1>(a, c, t)
})"},
    {"half precision", R"(opset 17
graph g (float16[2,16,37,41] x) => (float16 y) {
  float16[32,16,3,3] w = random(1)
  c = Conv(x, w)
  y = Sigmoid(c)
})"},
};

TEST_CASE("small models give the same bytes on any number of threads", "[threads]") {
  for (const auto* cases :
       {&op_cases::kAttention, &op_cases::kRecent, &op_cases::kQuantizers,
        &op_cases::kContribAttention, &op_cases::kGroupQuery, &op_cases::kContribFused,
        &op_cases::kBlockWeights, &op_cases::kContribInteger, &op_cases::kContribProducts})
    for (const OpCase& test : *cases) CheckAllThreads(test);
}

TEST_CASE("large layers give the same bytes on any number of threads", "[threads]") {
  for (const OpCase& test : kLarge) CheckAllThreads(test);
}

}  // namespace
}  // namespace roundel::engine
