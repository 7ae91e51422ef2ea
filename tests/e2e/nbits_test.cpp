// MatMulNBits against ONNX Runtime: codes of 2, 4 and 8 bits, levels of accuracy, blocks, zero
// points, and the products that it replaces by MatMulNBits.

#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/rounded_products.h"
#include "lib/graph/text.h"
#include "lib/io/onnx.h"
#include "tests/e2e/compare.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"
#include "tests/support/vector_source.h"

namespace roundel {
namespace {

using e2e::Distance;

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

TEST_CASE("MatMulNBits rounds its input where ONNX Runtime does") {
  if (e2e::SkippedWithoutOrt()) return;
  const e2e::ScratchFolder scratch("nbits");
  for (int64_t bits : {2, 4, 8})
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
          // The rounding is measurable, except for block sizes without an integer kernel.
          if (bits == 2 && block == 16) continue;
          Case other = c;
          other.level = level == 4 ? 1 : 4;
          auto executor = engine::Executor::Create(Product(other), {});
          CHECK(Distance((*executor)->Run({x}).value()[0], (*ort)[0][0]) > 1e-4);
        }
}

// A product of x [.., 80] with dequantized codes.
struct Form {
  std::string product;  // reads x, w and perhaps bias; makes y
  DType codes = DType::kInt8;
  std::string attributes = "";  // of DequantizeLinear
  Shape scale = {kColumns};
  Shape x = {5, 80};
  Shape weight = {80, kColumns};
};

// Codes, zero points and scales that are drawn; a model that says what its runtime does.
graph::Model QdqProduct(const Form& form) {
  Shape y = form.x;
  y.back() = kColumns;
  auto model =
      graph::Parse(StrCat("ir_version 12 opset 25\ngraph g (float32", ShapeString(form.x),
                          " x) => (float32", ShapeString(y),
                          " y) {\n float32[24] bias = random(3)\n float32[1,24] row = random(4)\n "
                          "float32[1] one = {1}\n w = DequantizeLinear",
                          form.attributes, "(codes, scale, zero)\n ", form.product, "\n}"));
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  Random random(7);
  const auto drawn = [&](const Shape& shape) {
    Tensor t = Tensor::Empty(form.codes, shape);
    auto* bytes = static_cast<uint8_t*>(t.mutable_raw());
    for (int64_t i = 0; i < t.byte_size(); ++i) bytes[i] = static_cast<uint8_t>(random.Below(256));
    return t;
  };
  model->graph->AddInitializer({.name = "codes", .value = drawn(form.weight)});
  model->graph->AddInitializer({.name = "zero", .value = drawn(form.scale)});
  model->graph->AddInitializer(
      {.name = "scale", .value = support::RandomTensor(form.scale, random)});
  model->SetMetadata(graph::kRoundsProductInputs, "true");
  return std::move(*model);
}

std::vector<Form> Forms() {
  std::vector<Form> forms;
  for (const DType codes :
       {DType::kInt2, DType::kUint2, DType::kInt4, DType::kUint4, DType::kInt8, DType::kUint8}) {
    forms.push_back({"y = MatMul(x, w)", codes});
    forms.push_back({"y = MatMul(x, w)", codes, "", {}});
    forms.push_back({"y = MatMul(x, w)", codes, "", {1}});
    for (const int64_t block : {8, 16, 32, 64, 128, 256, 512})
      forms.push_back({"y = MatMul(x, w)",
                       codes,
                       StrCat("<axis=0, block_size=", block, ">"),
                       {(80 + block - 1) / block, kColumns}});
  }
  for (const char* product :
       {"y = Gemm(x, w)", "y = Gemm(x, w, bias)", "y = Gemm<alpha=2.0>(x, w)",
        "y = Gemm<beta=2.0>(x, w, bias)", "m = MatMul(x, w)\n y = Add(m, bias)",
        "m = MatMul(x, w)\n y = Add(row, m)", "m = MatMul(x, w)\n y = Add(m, one)",
        "m = MatMul(x, w)\n n = MatMul(x, w)\n y = Add(m, n)", "m = Relu(x)\n y = MatMul(m, w)"})
    forms.push_back({product});
  for (const char* product :
       {"m = MatMul(x, w)\n y = Add(row, m)", "m = MatMul(x, w)\n n = Relu(m)\n y = Add(m, n)"})
    forms.push_back({product, DType::kInt8, "", {24}, {2, 3, 80}});
  forms.push_back({"y = MatMul(x, w)", DType::kInt8, "<axis=-1>"});
  forms.push_back({"y = Gemm<transB=1>(x, w)", DType::kInt8, "<axis=0>", {24}, {5, 80}, {24, 80}});
  forms.push_back({"y = MatMul(x, w)", DType::kInt4, "", {24}, {2, 3, 80}});
  forms.push_back({"y = MatMul(x, w)", DType::kInt4, "", {24}, {80}});
  return forms;
}

TEST_CASE("products on codes round their input where ONNX Runtime does") {
  if (e2e::SkippedWithoutOrt()) return;
  const e2e::ScratchFolder scratch("products");
  std::vector<e2e::OrtJob> jobs;
  std::vector<graph::Model> models;
  for (const Form& form : Forms()) {
    models.push_back(QdqProduct(form));
    Random random(3);
    const std::string file = scratch.File(StrCat("model", jobs.size(), ".onnx"));
    REQUIRE(io::WriteOnnx(models.back(), file).ok());
    jobs.push_back({file, true, {{"x", support::RandomTensor(form.x, random)}}});
  }
  auto ort = e2e::RunOrt(jobs, scratch.path());
  INFO((ort.ok() ? "" : ort.status().message()));
  REQUIRE(ort.ok());
  int rounded = 0;
  for (size_t i = 0; i < models.size(); ++i) {
    const Form form = Forms()[i];
    INFO(form.product << " " << DTypeName(form.codes) << form.attributes << ", scales "
                      << ShapeString(form.scale) << ", x " << ShapeString(form.x));
    const auto run = [&](const graph::Model& model, bool fast) {
      auto executor = engine::Executor::Create(model, {.fast_kernels = fast});
      REQUIRE(executor.ok());
      auto outputs = (*executor)->Run({jobs[i].inputs[0].second});
      INFO((outputs.ok() ? "" : outputs.status().message()));
      REQUIRE(outputs.ok());
      return (*outputs)[0];
    };
    CHECK(Distance(run(models[i], true), (*ort)[i][0]) < 1e-5);
    CHECK(Distance(run(models[i], false), (*ort)[i][0]) < 1e-5);
    models[i].SetMetadata(graph::kRoundsProductInputs, "false");
    rounded += Distance(run(models[i], true), (*ort)[i][0]) > 1e-4;
  }
  CHECK(rounded > 40);
}

}  // namespace
}  // namespace roundel
