// Accuracy in ONNX Runtime of models with nodes that placement leaves in float.

#include <cmath>

#include "lib/base/text.h"
#include "lib/io/onnx.h"
#include "lib/targets/export.h"
#include "tests/e2e/calibrated.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"

namespace roundel {
namespace {

// Power of a over that of a - b, in dB.
double Sqnr(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double signal = 0, noise = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double x = a.data<float>()[i], d = x - b.data<float>()[i];
    signal += x * x;
    noise += d * d;
  }
  return noise == 0 ? 200 : 10 * std::log10(signal / noise);
}

// Of every output, quantized in ONNX Runtime with all optimizations.
std::vector<double> InOrt(const char* text, const Shape& input, const char* target,
                          const std::string& format = "qdq") {
  const auto session = e2e::Calibrated(text, input, target);
  auto quantized = target::Export(session->model, session->encodings, {.format = format});
  INFO((quantized.ok() ? "" : quantized.status().message()));
  REQUIRE(quantized.ok());
  e2e::ScratchFolder scratch(StrCat("islands-", target));
  REQUIRE(io::WriteOnnx(session->model, scratch.File("float.onnx")).ok());
  REQUIRE(io::WriteOnnx(*quantized, scratch.File("quantized.onnx")).ok());
  const Tensor x = support::RandomSource(input, 1, 99).Next().value()->inputs[0];
  const auto ort = e2e::RunOrt({{scratch.File("float.onnx"), true, {{"x", x}}},
                                {scratch.File("quantized.onnx"), true, {{"x", x}}}},
                               scratch.path());
  INFO((ort.ok() ? "" : ort.status().message()));
  REQUIRE(ort.ok());
  std::vector<double> sqnr;
  for (size_t i = 0; i < (*ort)[0].size(); ++i) sqnr.push_back(Sqnr((*ort)[0][i], (*ort)[1][i]));
  return sqnr;
}

struct Case {
  const char* name;
  const char* text;
  Shape input;
  double least;  // dB of every output: 8 bits of a layer's input and weights leave 35 to 45
};

const Case kCases[] = {
    {"decomposed layer normalization of values of very different size",
     R"(opset 13
        graph g (float32[N,6,32] x) => (float32[N,6,32] y) {
          float32[6,1] size = {0.01, 0.05, 0.3, 1, 3, 9}
          float32[32,32] w = random(1)
          float32[32] gamma = random(2)
          float32[32] beta = random(3)
          float32[] eps = {1e-6}
          h = Mul(x, size)
          m = ReduceMean<axes=[-1]>(h)
          d = Sub(h, m)
          q = Mul(d, d)
          v = ReduceMean<axes=[-1]>(q)
          e = Add(v, eps)
          s = Sqrt(e)
          n = Div(d, s)
          a = Mul(n, gamma)
          b = Add(a, beta)
          y = MatMul(b, w)
        })",
     {4, 6, 32},
     30},
    {"boxes in pixels beside scores",
     R"(opset 13
        graph g (float32[N,4,8,8] x) => (float32[N,4,64] boxes, float32[N,2,64] scores) {
          float32[4,4,1,1] wb = random(1)
          float32[2,4,1,1] ws = random(2)
          float32[] stride = {100}
          int64[3] four = {0, 4, 64}
          int64[3] two = {0, 2, 64}
          int64[2] parts = {4, 2}
          b = Conv(x, wb)
          c = Mul(b, stride)
          d = Reshape(c, four)
          s = Conv(x, ws)
          t = Sigmoid(s)
          u = Reshape(t, two)
          j = Concat<axis=1>(d, u)
          boxes, scores = Split<axis=1>(j, parts)
        })",
     {4, 4, 8, 8},
     28},
    {"a skip connection a thousand times as large, and another reader of the small branch",
     R"(opset 13
        graph g (float32[N,4,8,8] x) => (float32[N,3,8,8] y, float32[N,3,8,8] z) {
          float32[4,4,1,1] w = random(1)
          float32[3,8,1,1] u = random(2)
          float32[3,4,1,1] v = random(3)
          float32[4,1,1] thousand = {1000, 1000, 1000, 1000}
          float32[1,8,1,1] weigh = {0.001, 0.001, 0.001, 0.001, 1, 1, 1, 1}
          a = Conv(x, w)
          big = Mul(x, thousand)
          j = Concat<axis=1>(big, a)
          k = Mul(j, weigh)
          y = Conv(k, u)
          z = Conv(a, v)
        })",
     {4, 4, 8, 8},
     28},
};

}  // namespace

// A signal of a loud tone and quiet ones far from it, 60 dB down, as sums and differences of its
// samples; the bands of the quiet ones must come through the logarithm.
constexpr char kSpectrum[] = R"(opset 13
  graph g (float32[N,1,64] x) => (float32[N,8,15] y) {
    float32[16,1,8] re = random(1)
    float32[16,1,8] im = random(2)
    float32[16,1] loud = {300, 0.3, 1, 0.1, 1, 0.1, 1, 0.1, 1, 0.1, 1, 0.1, 1, 0.1, 1, 0.1}
    float32[8,16,1] mix = random(3)
    float32[8] bias = random(4)
    float32[] eps = {1e-10}
    a = Conv<strides=[4]>(x, re)
    b = Conv<strides=[4]>(x, im)
    c = Mul(a, loud)
    d = Mul(b, loud)
    e = Concat<axis=1>(c, d)
    f = Slice(e, zero, sixteen, one)
    h = Slice(e, sixteen, end, one)
    p = Mul(f, f)
    q = Mul(h, h)
    s = Add(p, q)
    t = Add(s, eps)
    l = Log(t)
    z = Conv(l, mix, bias)
    y = Relu(z)
    int64[1] zero = {0}
    int64[1] one = {1}
    int64[1] sixteen = {16}
    int64[1] end = {32}
  })";

TEST_CASE("quiet bands come through the logarithm of a spectrum") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const char* target : {"ort-cpu", "generic", "openvino"})
    for (const double sqnr : InOrt(kSpectrum, {4, 1, 64}, target)) CHECK(sqnr > 30);
}

TEST_CASE("accuracy in ONNX Runtime where eight bits would lose it") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Case& test : kCases)
    for (const char* target : {"ort-cpu", "generic", "openvino"})
      DYNAMIC_SECTION(test.name << ", " << target) {
        for (const double sqnr : InOrt(test.text, test.input, target)) CHECK(sqnr > test.least);
      }
}

TEST_CASE("operators on codes gain the same") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Case& test : kCases) DYNAMIC_SECTION(test.name) {
      for (const double sqnr : InOrt(test.text, test.input, "ort-cpu", "qoperator"))
        CHECK(sqnr > test.least);
    }
}

TEST_CASE("boxes beside scores where every op is quantized") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const double sqnr : InOrt(kCases[1].text, kCases[1].input, "qnn-htp")) CHECK(sqnr > 25);
}

TEST_CASE("layers whose results float ops read run in integers without a pair behind them") {
  if (e2e::SkippedWithoutOrt()) return;
  const auto session = e2e::Calibrated(R"(opset 13
    graph g (float32[N,16] x) => (float32[N,4] y) {
      float32[16,8] w = random(1)
      float32[8,4] v = random(2)
      float32[4] b = random(3)
      m = MatMul(x, w)
      e = Erf(m)
      h = Gemm(e, v, b)
      y = Tanh(h)
    })",
                                       {4, 16});
  auto model = target::ExportQdq(session->model, session->encodings, {});
  REQUIRE(model.ok());
  e2e::ScratchFolder scratch("float-results");
  REQUIRE(io::WriteOnnx(*model, scratch.File("model.onnx")).ok());
  const Tensor x = support::RandomSource({4, 16}, 1, 99).Next().value()->inputs[0];
  const e2e::OrtJob job{
      scratch.File("model.onnx"), true, {{"x", x}}, scratch.File("optimized.onnx")};
  REQUIRE(e2e::RunOrt({job}, scratch.path()).ok());
  const auto optimized = io::ReadOnnx(job.optimized);
  REQUIRE(optimized.ok());
  std::map<std::string, int> count;
  for (const auto& node : optimized->graph->nodes()) ++count[node->op_type];
  CHECK(count["MatMulIntegerToFloat"] == 1);
  CHECK(count["QGemm"] == 1);
  CHECK(count["MatMul"] + count["Gemm"] + count["DequantizeLinear"] == 0);
}

}  // namespace roundel
