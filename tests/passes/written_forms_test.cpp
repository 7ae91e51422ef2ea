// Forms that layers are written in. Oracle: the engine's simulation of the float model with the
// encodings, and the operators' limits as ONNX Runtime has them.

#include <algorithm>
#include <cmath>

#include "lib/base/random.h"
#include "lib/engine/executor.h"
#include "lib/graph/text.h"
#include "lib/quant/tensor_ranges.h"
#include "lib/targets/export.h"
#include "lib/targets/lint.h"
#include "tests/support/catch.h"
#include "tests/support/parse_model.h"

namespace roundel::target {
namespace {

using support::ParseModel;

using quant::Encoding;
using quant::Granularity;

// min_max encoding of a constant.
Encoding WeightEncoding(const graph::Model& model, const std::string& value,
                        const quant::Grid& grid, Granularity granularity, int64_t axis,
                        int64_t block_size = 0) {
  Encoding e{.role = quant::Role::kWeight,
             .grid = grid,
             .granularity = granularity,
             .axis = axis,
             .block_size = block_size};
  const auto ranges = quant::TensorRanges(*model.graph->Constant(value), e);
  REQUIRE(ranges.ok());
  for (const quant::Range& range : *ranges)
    e.params.push_back(quant::ParamsFromRange(range.min, range.max, grid));
  return e;
}

Encoding ActivationEncoding(float low, float high) {
  const quant::Grid grid{.bits = 8};
  return {.grid = grid, .params = {quant::ParamsFromRange(low, high, grid)}};
}

Tensor Noise(const Shape& shape) {
  Random random(5);
  Tensor x = Tensor::Empty(DType::kFloat, shape);
  for (int64_t i = 0; i < x.size(); ++i) x.mutable_data<float>()[i] = float(random.Normal());
  return x;
}

std::vector<Tensor> RunPlain(const graph::Model& model, const Tensor& x,
                             const quant::EncodingTable* simulate = nullptr) {
  auto executor = engine::Executor::Create(model, {.simulate = simulate, .fast_kernels = false});
  INFO((executor.ok() ? "" : executor.status().message()));
  REQUIRE(executor.ok());
  auto outputs = (*executor)->Run({x});
  INFO((outputs.ok() ? "" : outputs.status().message()));
  REQUIRE(outputs.ok());
  return std::move(outputs).value();
}

double Difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double largest = 0, size = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::fabs(double(a.data<float>()[i]) - b.data<float>()[i]));
    size = std::max(size, std::fabs(double(b.data<float>()[i])));
  }
  return largest / size;
}

std::vector<const graph::Node*> NodesOf(const graph::Model& model, const std::string& op) {
  std::vector<const graph::Node*> found;
  for (const auto& node : model.graph->nodes())
    if (node->op_type == op) found.push_back(node.get());
  return found;
}

int64_t LargeInitializers(const graph::Model& model, int64_t least_bytes) {
  const auto& all = model.graph->initializers();
  return std::count_if(all.begin(), all.end(),
                       [&](const auto& i) { return i.value.byte_size() >= least_bytes; });
}

constexpr quant::Grid kInt8{.bits = 8, .is_signed = true, .symmetric = true, .narrow_range = true};

}  // namespace

TEST_CASE("blocks longer than MatMulNBits has are written as several with one scale") {
  const graph::Model model = ParseModel(R"(opset 21
graph g (float32[2,2048] x) => (float32[2,3] y) {
  float32[2048,3] w = random(1)
  y = MatMul(x, w)
})");
  for (const int64_t block : {16, 256, 512, 2048, 768}) {
    INFO(block);
    const quant::Grid grid{.bits = 4};
    const quant::EncodingTable table = {
        {"w", WeightEncoding(model, "w", grid, Granularity::kBlock, 0, block)}};
    const auto written = Export(model, table, {.format = "matmulnbits"});
    REQUIRE(written.ok());
    const auto packed = NodesOf(*written, "MatMulNBits");
    REQUIRE(packed.size() == 1);
    CHECK(packed[0]->Int("block_size", 0) == std::min<int64_t>(block, 256));
    CHECK(Lint(*written, LoadProfile("llm-matmulnbits").value())->violations.empty());
    const Tensor x = Noise({2, 2048});
    CHECK(Difference(RunPlain(*written, x)[0], RunPlain(model, x, &table)[0]) < 1e-5);
  }
  // The operator supports no block size that divides 24.
  const quant::EncodingTable odd = {
      {"w", WeightEncoding(model, "w", {.bits = 4}, Granularity::kBlock, 0, 24)}};
  const auto written = Export(model, odd, {.format = "matmulnbits"});
  REQUIRE(written.ok());
  CHECK(NodesOf(*written, "MatMulNBits").empty());
}

TEST_CASE("a matrix that several dynamic layers read is stored once") {
  const graph::Model model = ParseModel(R"(opset 17
graph g (float32[3,64] x) => (float32[3,64] y, float32[3,64] z, float32[2,64] rows) {
  float32[64,64] w = random(1)
  int64[2] ids = {5, 2}
  t = MatMul(x, w)
  y = MatMul(t, w)
  z = Gemm<transB=1>(y, w)
  rows = Gather(w, ids)
})");
  const quant::EncodingTable table = {
      {"w", WeightEncoding(model, "w", kInt8, Granularity::kTensor, 0)}};
  const auto written = Export(model, table, {.dynamic_layers = {"t", "y", "z"}});
  REQUIRE(written.ok());
  CHECK(NodesOf(*written, "MatMulInteger").size() == 3);
  CHECK(LargeInitializers(*written, 64 * 64) == 1);
  // The error of 8-bit inputs, twice.
  const Tensor x = Noise({3, 64});
  const auto own = RunPlain(*written, x), wanted = RunPlain(model, x, &table);
  for (size_t i = 0; i < 2; ++i) CHECK(Difference(own[i], wanted[i]) < 0.03);
  CHECK(Difference(own[2], wanted[2]) == 0);

  // Alone, a matrix that is read transposed is stored that way.
  const graph::Model gemm = ParseModel(R"(opset 17
graph g (float32[3,64] x) => (float32[3,64] y) {
  float32[64,64] w = random(1)
  t = Gemm<transB=1>(x, w)
  y = Gemm<transB=1>(t, w)
})");
  const auto turned = Export(gemm, table, {.dynamic_layers = {"t", "y"}});
  REQUIRE(turned.ok());
  CHECK(NodesOf(*turned, "Transpose").empty());
  CHECK(LargeInitializers(*turned, 64 * 64) == 1);
}

TEST_CASE("a float layer between pairs is hidden from a runtime that would quantize it") {
  const graph::Model model = ParseModel(R"(opset 13
graph g (float32[1,3,4,4] x) => (float32[1,2,4,4] y) {
  float32[2,3,1,1] w = random(1)
  float32[2] b = random(2)
  c = Conv(x, w, b)
  y = Relu(c)
})");
  const quant::EncodingTable table = {{"x", ActivationEncoding(-3, 3)},
                                      {"y", ActivationEncoding(0, 4)}};
  ExportOptions options;
  options.qdq.absorb_relu = false;
  options.qdq.quantizes_between_pairs = true;
  const auto written = Export(model, table, options);
  REQUIRE(written.ok());
  REQUIRE(NodesOf(*written, "Max").size() == 1);
  const graph::Node& relu = *NodesOf(*written, "Relu")[0];
  CHECK(NodesOf(*written, "Max")[0]->input(0) == relu.output(0));
  const Tensor x = Noise({1, 3, 4, 4});
  CHECK(Difference(RunPlain(*written, x)[0], RunPlain(model, x, &table)[0]) == 0);
  // It is no part of the float model.
  const auto floats = ImportQdq(*written);
  REQUIRE(floats.ok());
  CHECK(NodesOf(floats->model, "Max").empty());
  CHECK(floats->encodings.size() == 2);

  // It is absent for other runtimes, and next to layers that are quantized.
  options.qdq.quantizes_between_pairs = false;
  CHECK(NodesOf(*Export(model, table, options), "Max").empty());
  options.qdq.quantizes_between_pairs = true;
  quant::EncodingTable whole = table;
  whole["w"] = WeightEncoding(model, "w", kInt8, Granularity::kChannel, 0);
  Encoding bias{.role = quant::Role::kBias,
                .grid = {.bits = 32, .is_signed = true, .symmetric = true},
                .granularity = Granularity::kChannel};
  for (const quant::QParams& p : whole["w"].params)
    bias.params.push_back({p.scale * table.at("x").params[0].scale, 0});
  whole["b"] = bias;
  CHECK(NodesOf(*Export(model, whole, options), "Max").empty());
  // A bias alone that stayed float would be rounded as well.
  whole.erase("b");
  CHECK(NodesOf(*Export(model, whole, options), "Max").size() == 1);
}

TEST_CASE("scales per channel of a batch of matrices stay away from operators on codes") {
  const graph::Model model = ParseModel(R"(opset 13
graph g (float32[2,3,4] x) => (float32[2,3,5] y) {
  float32[2,4,5] w = random(1)
  y = MatMul(x, w)
})");
  const quant::EncodingTable table = {
      {"x", ActivationEncoding(-3, 3)},
      {"y", ActivationEncoding(-4, 4)},
      {"w", WeightEncoding(model, "w", kInt8, Granularity::kChannel, 2)}};
  const Tensor x = Noise({2, 3, 4});
  for (const char* format : {"qdq", "qoperator"}) {
    INFO(format);
    const auto written = Export(model, table, OptionsFor(LoadProfile("generic").value(), format));
    REQUIRE(written.ok());
    CHECK(NodesOf(*written, "QLinearMatMul").empty());
    REQUIRE(NodesOf(*written, "MatMul").size() == 1);
    const graph::Node* weight = written->graph->Producer(NodesOf(*written, "MatMul")[0]->input(1));
    REQUIRE(weight);
    CHECK(weight->op_type == "Max");
    CHECK(Difference(RunPlain(*written, x)[0], RunPlain(model, x, &table)[0]) < 1e-2);
    CHECK(ImportQdq(*written)->encodings.size() == 3);
  }
  CHECK(Lint(*Export(model, table, {}), LoadProfile("ort-cpu").value())->violations.size() == 1);
}

}  // namespace roundel::target
