// Operators on codes and dynamic quantization in ONNX Runtime: the models load there, and compute
// what the QDQ form, or the engine, does.

#include <algorithm>
#include <cmath>

#include "lib/engine/executor.h"
#include "lib/io/onnx.h"
#include "lib/targets/export.h"
#include "tests/e2e/calibrated.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"

namespace roundel {
namespace {

int64_t CountOps(const graph::Model& model, const std::string& op) {
  const auto& nodes = model.graph->nodes();
  return std::count_if(nodes.begin(), nodes.end(), [&](const auto& n) { return n->op_type == op; });
}

const char* const kImageNet = R"(opset 13
  graph g (float32[N,4,12,12] x) => (float32[N,10] y) {
    float32[8,4,3,3] w1 = random(1)
    float32[8] b1 = random(2)
    float32[8,1,3,3] w2 = random(3)
    float32[8,8,1,1] w3 = random(4)
    float32[1,8,1,1] k = random(5)
    float32[10,16] v = random(6)
    float32[10] c = random(7)
    float32[10,10] m = random(8)
    c1 = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w1, b1)
    r1 = Relu(c1)
    p1 = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r1)
    c2 = Conv<kernel_shape=[3,3], pads=[1,1,1,1], group=8>(p1, w2)
    s2 = Sigmoid(c2)
    c3 = Conv<kernel_shape=[1,1]>(s2, w3)
    l3 = LeakyRelu<alpha=0.1>(c3)
    a3 = Add(l3, p1)
    m3 = Mul(a3, k)
    j = Concat<axis=1>(m3, s2)
    g1 = GlobalAveragePool(j)
    f = Flatten(g1)
    h = Gemm<transB=1>(f, v, c)
    t = MatMul(h, m)
    p = Softmax<axis=-1>(t)
    y = MatMul(p, m)
  })";

Result<std::vector<std::vector<Tensor>>> RunBoth(const graph::Model& model, const Tensor& input,
                                                 const std::string& name) {
  e2e::ScratchFolder scratch("formats-" + name);
  const std::string file = scratch.File("model.onnx");
  REQUIRE(io::WriteOnnx(model, file).ok());
  return e2e::RunOrt({{file, false, {{"x", input}}}, {file, true, {{"x", input}}}}, scratch.path());
}

double Largest(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double difference = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double d = std::fabs(static_cast<double>(a.data<float>()[i]) - b.data<float>()[i]);
    difference = std::max(difference, std::isfinite(d) ? d : HUGE_VAL);
  }
  return difference;
}

}  // namespace

TEST_CASE("a model of operators on codes runs in ONNX Runtime like its QDQ form") {
  if (e2e::SkippedWithoutOrt()) return;
  const auto session = e2e::Calibrated(kImageNet, {2, 4, 12, 12});
  auto codes = target::Export(session->model, session->encodings, {.format = "qoperator"});
  INFO((codes.ok() ? "" : codes.status().message()));
  REQUIRE(codes.ok());
  for (const char* op :
       {"QLinearConv", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearAdd", "QLinearMul",
        "QLinearConcat", "QLinearGlobalAveragePool", "QGemm", "QLinearMatMul", "QLinearSoftmax"}) {
    INFO(op);
    const std::string name = op;
    CHECK(CountOps(*codes, op) == (name == "QLinearConv" ? 3 : name == "QLinearMatMul" ? 2 : 1));
  }
  // Only the graph's input and output remain.
  CHECK(CountOps(*codes, "QuantizeLinear") == 1);
  CHECK(CountOps(*codes, "DequantizeLinear") == 1);

  const Tensor input = support::RandomSource({2, 4, 12, 12}, 1, 99).Next().value()->inputs[0];
  const auto ort = RunBoth(*codes, input, "codes");
  INFO((ort.ok() ? "" : ort.status().message()));
  REQUIRE(ort.ok());
  auto pairs = target::ExportQdq(session->model, session->encodings, {});
  REQUIRE(pairs.ok());
  const auto qdq = RunBoth(*pairs, input, "pairs");
  REQUIRE(qdq.ok());
  auto own = engine::Executor::Create(*codes);
  INFO((own.ok() ? "" : own.status().message()));
  REQUIRE(own.ok());
  const auto run = (*own)->Run({input});
  INFO((run.ok() ? "" : run.status().message()));
  REQUIRE(run.ok());
  // Two steps of the output: kernels on codes round where the pairs do not.
  const double two_steps = 2.001 * session->encodings.at("y").params[0].scale;
  CHECK(Largest((*ort)[0][0], (*qdq)[0][0]) <= two_steps);
  CHECK(Largest((*ort)[1][0], (*qdq)[1][0]) <= two_steps);
  CHECK(Largest((*run)[0], (*ort)[0][0]) <= two_steps);
}

TEST_CASE("layers that quantize their input at run time run in ONNX Runtime") {
  if (e2e::SkippedWithoutOrt()) return;
  const char* const text = R"(opset 10
    graph g (float32[N,4,6,6] x) => (float32[N,7] y) {
      float32[8,4,3,3] w = random(1)
      float32[8] b = random(2)
      float32[8,7] v = random(3)
      float32[7,7] u = random(4)
      float32[7] c = random(5)
      t = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w, b)
      r = Relu(t)
      p = GlobalAveragePool(r)
      f = Flatten(p)
      m = MatMul(f, v)
      y = Gemm<transB=1, alpha=0.5, beta=2.0>(m, u, c)
    })";
  const bool per_tensor = GENERATE(false, true);
  INFO((per_tensor ? "per tensor" : "per channel"));
  const auto session =
      e2e::Calibrated(text, {2, 4, 6, 6}, "ort-cpu", [&](target::GridChoice& choice) {
        choice.mode = target::ActivationMode::kDynamic;
        if (per_tensor) choice.weight_granularity = quant::Granularity::kTensor;
      });
  CHECK(session->placement->dynamic_layers == std::vector<std::string>{"t", "m", "y"});
  CHECK(session->encodings.at("w").grid.Name() == "uint8 symmetric");
  auto exported = target::Export(session->model, session->encodings,
                                 {.dynamic_layers = session->placement->dynamic_layers});
  INFO((exported.ok() ? "" : exported.status().message()));
  REQUIRE(exported.ok());
  CHECK(CountOps(*exported, "DynamicQuantizeLinear") == 3);
  CHECK(CountOps(*exported, "ConvInteger") == 1);
  CHECK(CountOps(*exported, "MatMulInteger") == 2);
  CHECK(CountOps(*exported, "DequantizeLinear") == 0);

  const Tensor input = support::RandomSource({2, 4, 6, 6}, 1, 99).Next().value()->inputs[0];
  const auto ort = RunBoth(*exported, input, "dynamic");
  INFO((ort.ok() ? "" : ort.status().message()));
  REQUIRE(ort.ok());
  auto own = engine::Executor::Create(*exported);
  REQUIRE(own.ok());
  const auto run = (*own)->Run({input});
  REQUIRE(run.ok());
  CHECK(Largest((*run)[0], (*ort)[0][0]) < 1e-4);
  CHECK(Largest((*run)[0], (*ort)[1][0]) < 1e-4);
  // The result equals the float model up to the error of 8 bits.
  auto floats = engine::Executor::Create(session->model);
  const auto exact = (*floats)->Run({input});
  double largest = 0;
  for (const float v : (*exact)[0].span<float>()) largest = std::max<double>(largest, std::fabs(v));
  CHECK(Largest((*exact)[0], (*ort)[0][0]) < 0.05 * largest);
}

}  // namespace roundel
