#pragma once
// A network of residual blocks for the tests of passes that learn through blocks.

#include <string>

#include "tests/support/layerwise.h"

namespace roundel::support {

// Residual blocks, a depthwise layer and a head.
inline constexpr char kResidual[] = R"(opset 13
  graph g (float32[N,6,8,8] x) => (float32[N,4] y) {
    float32[8,6,3,3] w0 = random(1)
    float32[8] b0 = random(2)
    float32[16,8,1,1] w1 = random(3)
    float32[16,1,3,3] w2 = random(4)
    float32[8,16,1,1] w3 = random(5)
    float32[8] b3 = random(6)
    float32[8,8,3,3] w4 = random(7)
    float32[8,4] w5 = random(8)
    float32[4] b5 = random(9)
    c0 = Conv<pads=[1,1,1,1]>(x, w0, b0)
    r0 = Relu(c0)
    c1 = Conv(r0, w1)
    r1 = Relu(c1)
    c2 = Conv<group=16, pads=[1,1,1,1]>(r1, w2)
    r2 = Relu(c2)
    c3 = Conv(r2, w3, b3)
    a3 = Add(c3, r0)
    c4 = Conv<pads=[1,1,1,1]>(a3, w4)
    r4 = Relu(c4)
    a4 = Add(r4, a3)
    m = GlobalAveragePool(a4)
    f = Flatten(m)
    y = Gemm(f, w5, b5)
  })";

// Scores of which no class is certain.
inline std::string SmallScores() {
  std::string text = kResidual;
  const std::string head = "y = Gemm(f, w5, b5)";
  return text.replace(text.find(head), head.size(),
                      "z = Gemm(f, w5, b5)\nfloat32[] small = {0.01}\ny = Mul(z, small)");
}

// Weights that lie on grids of 4 bits, and inputs that are small integers: half precision holds them,
// and so do all sums.
inline constexpr char kOnGrid[] = R"(opset 13
  graph g (float32[N,3] x) => (float32[N,2] y) {
    float32[3,4] w1 = {7, 1, -3, 2, 0, 7, 1, -7, -2, 3, 7, 1}
    float32[4,2] w2 = {7, -1, 2, 7, -3, 0, 1, 4}
    h = MatMul(x, w1)
    r = Relu(h)
    y = MatMul(r, w2)
  })";

inline VectorSource OnGridSource() {
  std::vector<Batch> batches(4);
  Random random(5);
  for (Batch& batch : batches) {
    batch.inputs = {Tensor::Zeros(DType::kFloat, {16, 3})};
    for (int64_t i = 0; i < 48; ++i)
      batch.inputs[0].mutable_data<float>()[i] = static_cast<float>(random.Below(7)) - 3;
    batch.size = 16;
    batch.sample_names.assign(16, "sample");
  }
  return VectorSource(std::move(batches));
}

// Few steps of small batches, unless `params` say otherwise.
inline RoundedOptions ShortLearning(int bits, std::map<std::string, std::string> params) {
  RoundedOptions options{.params = std::move(params)};
  options.params.emplace("iterations", "60");
  options.params.emplace("batch", "16");
  options.grid.bits = bits;
  return options;
}

// A metric of the last pass.
inline double Metric(const report::Report& report, const std::string& name) {
  for (const auto& [key, value] : report.passes.back().metrics)
    if (key == name)
      return std::holds_alternative<double>(value) ? std::get<double>(value)
                                                   : static_cast<double>(std::get<int64_t>(value));
  FAIL("no metric " << name);
  return 0;
}

}  // namespace roundel::support
