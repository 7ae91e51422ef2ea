#pragma once
// The model that model_forms.h gives other forms to.

#include <cmath>

#include "lib/base/check.h"
#include "lib/graph/graph.h"
#include "lib/graph/text.h"

namespace roundel::support {

// Multiples of 1 / 512 below 4: float16 numbers, also when they are halved some times.
inline Tensor OnCoarseGrid(Tensor value) {
  for (float* v = value.mutable_data<float>(); v < value.data<float>() + value.size(); ++v)
    *v = std::nearbyint(*v * 512) / 512;
  return value;
}

// Convolution, batch normalization and matrices, every value a float16 number.
inline graph::Model PlainFormModel() {
  auto model = graph::Parse(R"(
    opset 17
    graph g (float32[N,3,6,6] x) => (float32[N,5] y) {
      float32[8,3,3,3] w1 = random(1)
      float32[8] b1 = random(2)
      float32[8] scale = {1, 0.5, 2, 1.5, 0.25, 1, 1, 3}
      float32[8] shift = random(3)
      float32[8] mean = random(4)
      float32[8] variance = {1, 2, 0.5, 1, 4, 1, 0.25, 1}
      float32[8,1,3,3] w2 = random(5)
      float32[8] b2 = random(6)
      int64[2] rows = {0, -1}
      float32[8,6] w3 = random(7)
      float32[6] b3 = random(8)
      float32[5,6] w4 = random(9)
      float32[5] b4 = random(10)
      [conv1] c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
      [bn1] n1 = BatchNormalization(c1, scale, shift, mean, variance)
      [relu1] r1 = Relu(n1)
      [conv2] c2 = Conv<group=8, pads=[1,1,1,1]>(r1, w2, b2)
      [relu2] r2 = Relu(c2)
      [pool] p = GlobalAveragePool(r2)
      [flat] f = Reshape(p, rows)
      [matmul] m = MatMul(f, w3)
      [add] a = Add(m, b3)
      [relu3] r3 = Relu(a)
      [gemm] y = Gemm<transB=1>(r3, w4, b4)
    })");
  INVARIANT(model.ok(), model.status().message());
  for (const graph::Initializer& initializer :
       std::vector<graph::Initializer>(model->graph->initializers()))
    if (initializer.value.dtype() == DType::kFloat)
      model->graph->SetInitializer(initializer.name, OnCoarseGrid(initializer.value));
  return std::move(*model);
}

}  // namespace roundel::support
