// MatMulNBits against ONNX Runtime: codes of 4 and 8 bits, levels of accuracy, blocks, zero points.

#include <catch2/catch.hpp>

#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/text.h"
#include "lib/io/onnx.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/vector_source.h"

namespace roundel {
namespace {

struct Case {
  int64_t bits, block, level, m, k;
  bool zero_points;
};

Tensor RandomBytes(const Shape& shape, Random& random) {
  Tensor t = Tensor::Empty(DType::kUint8, shape);
  for (int64_t i = 0; i < t.size(); ++i)
    t.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(random.Below(256));
  return t;
}

constexpr int64_t kColumns = 24;

graph::Model Product(const Case& c) {
  auto model = graph::Parse(StrCat(
      "ir_version 8 opset 17, com.microsoft 1\ngraph g (float32[", c.m, ",", c.k,
      "] x) => (float32[", c.m, ",", kColumns, "] y) {\n y = com.microsoft.MatMulNBits<K=", c.k,
      ", N=", kColumns, ", bits=", c.bits, ", block_size=", c.block, ", accuracy_level=", c.level,
      ">(x, b, s", c.zero_points ? ", z" : "", ")\n}"));
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  Random random(7);
  const int64_t blocks = (c.k + c.block - 1) / c.block;
  model->graph->AddInitializer(
      {.name = "b", .value = RandomBytes({kColumns, blocks, c.block * c.bits / 8}, random)});
  Tensor scales = support::RandomTensor({kColumns * blocks}, random);
  model->graph->AddInitializer({.name = "s", .value = scales});
  if (c.zero_points)
    model->graph->AddInitializer(
        {.name = "z", .value = RandomBytes({kColumns * ((blocks * c.bits + 7) / 8)}, random)});
  return std::move(*model);
}

double Distance(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double difference = 0, magnitude = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, std::abs(double(a.data<float>()[i]) - b.data<float>()[i]));
    magnitude = std::max(magnitude, std::abs(double(b.data<float>()[i])));
  }
  return difference / magnitude;
}

TEST_CASE("MatMulNBits rounds its input where ONNX Runtime does") {
  if (!e2e::OrtAvailable()) return;
  const e2e::ScratchFolder scratch("nbits");
  for (int64_t bits : {4, 8})
    for (int64_t level : {0, 1, 4})
      for (int64_t block : {16, 32, 128})
        for (const bool zero_points : {false, true}) {
          const int64_t m = block == 32 ? 1 : 5;
          const Case c{bits, block, level, m, block == 128 ? 300 : 160, zero_points};
          INFO("bits " << bits << " level " << level << " block " << block << " zero points "
                       << zero_points);
          const graph::Model model = Product(c);
          Random random(3);
          const Tensor x = support::RandomTensor({c.m, c.k}, random);
          const std::string file = scratch.File("model.onnx");
          REQUIRE(io::WriteOnnx(model, file).ok());
          auto ort = e2e::RunOrt({{file, true, {{"x", x}}}}, scratch.path());
          INFO((ort.ok() ? "" : ort.status().message()));
          REQUIRE(ort.ok());
          for (const bool fast : {true, false}) {
            auto executor = engine::Executor::Create(model, {.fast_kernels = fast});
            REQUIRE(executor.ok());
            auto ours = (*executor)->Run({x});
            REQUIRE(ours.ok());
            CHECK(Distance((*ours)[0], (*ort)[0][0]) < 3e-6);
          }
          // The rounding is there to be seen.
          Case other = c;
          other.level = level == 4 ? 1 : 4;
          auto executor = engine::Executor::Create(Product(other), {});
          CHECK(Distance((*executor)->Run({x}).value()[0], (*ort)[0][0]) > 1e-4);
        }
}

}  // namespace
}  // namespace roundel
