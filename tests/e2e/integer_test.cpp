// Integer simulation against ONNX Runtime's integer kernels: the same bits, wherever both have exact
// dot products.

#include <catch2/catch.hpp>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/engine/integer/linear.h"
#include "lib/graph/text.h"
#include "lib/io/onnx.h"
#include "lib/target/qdq.h"
#include "tests/e2e/calibrated.h"
#include "tests/e2e/ort_runner.h"

namespace roundel {
namespace {

bool CanCompare() {
  if (!e2e::OrtAvailable()) {
    WARN("skipped: needs node and tests/e2e/node_modules (scripts/test.sh installs them)");
    return false;
  }
  if (!engine::HasExactDotProduct()) {
    WARN("skipped: this machine has no exact dot product of bytes");
    return false;
  }
  return true;
}

int64_t Differences(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  int64_t count = 0;
  for (int64_t i = 0; i < a.size(); ++i) count += a.data<float>()[i] != b.data<float>()[i];
  return count;
}

void CheckOurs(const graph::Model& model, const std::vector<Tensor>& inputs,
               const std::vector<Tensor>& expected) {
  auto executor = engine::Executor::Create(model, {});
  INFO((executor.ok() ? "" : executor.status().message()));
  REQUIRE(executor.ok());
  auto ours = (*executor)->Run(inputs);
  REQUIRE(ours.ok());
  for (size_t i = 0; i < ours->size(); ++i) {
    INFO("output " << i);
    CHECK(Differences((*ours)[i], expected[i]) == 0);
  }
}

// Our engine and ONNX Runtime on the same file and inputs; then our engine on what the runtime's
// optimisations make of the file: QLinearConv and its like.
void CheckSameBits(const graph::Model& model, const std::vector<Tensor>& inputs,
                   const e2e::ScratchFolder& scratch) {
  const std::string file = scratch.File("model.onnx");
  REQUIRE(io::WriteOnnx(model, file).ok());
  e2e::OrtJob job{file, true, {}, scratch.File("optimized.onnx")};
  for (size_t i = 0; i < inputs.size(); ++i)
    job.inputs.emplace_back(model.graph->inputs[i].name, inputs[i]);
  auto ort = e2e::RunOrt({job}, scratch.path());
  INFO((ort.ok() ? "" : ort.status().message()));
  REQUIRE(ort.ok());
  CheckOurs(model, inputs, (*ort)[0]);
  auto optimized = io::ReadOnnx(job.optimized);
  REQUIRE(optimized.ok());
  CheckOurs(*optimized, inputs, (*ort)[0]);
}

// Every pair of codes, on grids as residual additions have them.
TEST_CASE("all sums of two 8-bit codes are ONNX Runtime's") {
  if (!CanCompare()) return;
  constexpr int kAdds = 16;
  Random random(11);
  std::string head, body;
  std::vector<std::string> results;
  std::vector<Tensor> inputs;
  for (int i = 0; i < kAdds; ++i) {
    for (const char* operand : {"a", "b"}) {
      const std::string name = StrCat(operand, i);
      const auto scale = static_cast<float>(0.005 + 0.1 * random.Uniform());
      const int zero_point = static_cast<int>(random.Below(256));
      head += StrCat(head.empty() ? "" : ", ", "float32[256,256] ", name);
      body += StrCat("float32[] s", name, " = {", scale, "}\n uint8[] z", name, " = {", zero_point,
                     "}\n q", name, " = QuantizeLinear(", name, ", s", name, ", z", name, ")\n d",
                     name, " = DequantizeLinear(q", name, ", s", name, ", z", name, ")\n");
      Tensor values = Tensor::Empty(DType::kFloat, {256, 256});
      for (int k = 0; k < 256 * 256; ++k)
        values.mutable_data<float>()[k] =
            static_cast<float>((*operand == 'a' ? k / 256 : k % 256) - zero_point) * scale;
      inputs.push_back(std::move(values));
    }
    const auto scale = static_cast<float>(0.05 + 0.1 * random.Uniform());
    body += StrCat("float32[] t", i, " = {", scale, "}\n uint8[] u", i, " = {",
                   random.Below(256), "}\n y", i, " = Add(da", i, ", db", i, ")\n e", i,
                   " = QuantizeLinear(y", i, ", t", i, ", u", i, ")\n f", i,
                   " = DequantizeLinear(e", i, ", t", i, ", u", i, ")\n");
    results.push_back(StrCat("float32 f", i));
  }
  auto model =
      graph::Parse(StrCat("opset 13\n graph g (", head, ") => (", Join(results), ") {\n", body, "}"));
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  CheckSameBits(*model, inputs, e2e::ScratchFolder("integer-add"));
}

struct Case {
  const char* name;
  const char* text;
  Shape input;
};

const Case kCases[] = {
    {"convolutions",
     R"(opset 13
        graph g (float32[N,3,17,19] x) => (float32[N,24,3,4] y) {
          float32[16,3,3,3] w1 = random(1)
          float32[16] b1 = random(2)
          float32[16,1,5,3] w2 = random(3)
          float32[16] b2 = random(4)
          float32[8,16,1,1] w3 = random(5)
          float32[8] b3 = random(6)
          float32[12,4,3,3] w4 = random(7)
          float32[12] b4 = random(8)
          float32[24,12,3,3] w5 = random(9)
          float32[24] b5 = random(10)
          c1 = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w1, b1)
          r1 = Relu(c1)
          c2 = Conv<kernel_shape=[5,3], pads=[2,1,2,1], group=16>(r1, w2, b2)
          c3 = Conv<kernel_shape=[1,1]>(c2, w3, b3)
          c4 = Conv<kernel_shape=[3,3], pads=[0,0,1,1], strides=[2,2], group=2>(c3, w4, b4)
          y = Conv<kernel_shape=[3,3], dilations=[2,2], pads=[1,1,1,1], strides=[3,3]>(c4, w5, b5)
        })",
     {3, 3, 17, 19}},
    {"network_in_codes",
     R"(opset 13
        graph g (float32[N,4,14,14] x) => (float32[N,10] y) {
          float32[32,4,3,3] w1 = random(1)
          float32[32] b1 = random(2)
          float32[32,32,1,1] w2 = random(3)
          float32[32] b2 = random(4)
          float32[16,32,1,1] w3 = random(5)
          float32[16] b3 = random(6)
          float32[10,48] w4 = random(7)
          float32[10] b4 = random(8)
          float32[32,1,1] caps = random(9)
          c1 = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w1, b1)
          t1 = Relu(c1)
          r1 = Min(t1, caps)
          p1 = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(r1)
          c2 = Conv<kernel_shape=[1,1]>(p1, w2, b2)
          s = Add(c2, p1)
          c3 = Conv<kernel_shape=[1,1]>(s, w3, b3)
          r3 = Relu(c3)
          j = Concat<axis=1>(s, r3)
          g = GlobalAveragePool(j)
          f = Flatten(g)
          y = Gemm<transB=1>(f, w4, b4)
        })",
     {5, 4, 14, 14}},
};

TEST_CASE("layers on 8-bit grids give ONNX Runtime's bits") {
  if (!CanCompare()) return;
  for (const Case& test : kCases) {
    DYNAMIC_SECTION(test.name) {
      const auto session = e2e::Calibrated(test.text, test.input);
      auto exported = target::ExportQdq(session->model, session->encodings, {});
      REQUIRE(exported.ok());
      Random random(99);
      const Tensor input = support::RandomTensor(test.input, random);
      CheckSameBits(*exported, {input}, e2e::ScratchFolder(std::string("integer-") + test.name));

      // The simulation of the float model is that of the exported one.
      engine::ExecutorOptions options;
      options.simulate = &session->encodings;
      auto simulated = engine::Executor::Create(session->model, options);
      auto quantized = engine::Executor::Create(*exported, {});
      REQUIRE(simulated.ok());
      REQUIRE(quantized.ok());
      CHECK(Differences((*simulated)->Run({input}).value()[0],
                        (*quantized)->Run({input}).value()[0]) == 0);
    }
  }
}

}  // namespace
}  // namespace roundel
