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
