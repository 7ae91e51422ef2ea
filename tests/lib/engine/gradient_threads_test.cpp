// A gradient step runs in lanes of one thread, on chunks of samples. Its bytes do not depend on the
// number of threads of the process.

#include <atomic>

#include "lib/base/lanes.h"
#include "lib/base/parallel.h"
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

// Forward and backward through a block of a network, gradients of all its weights.
const char* const kStep = R"(opset 14, roundel 1, com.microsoft 1
graph g (float32 x, float32 t, float32 w1, float32 w2, float32 w3, float32 w4, float32 s, float32 z)
    => (float32 d1, float32 d2, float32 d3, float32 d4, float32 ds, float32 dx) {
  float32[] two = {2}
  a = Conv<pads=[1,1,1,1]>(x, w1)
  b = Relu(a)
  q = roundel.FakeQuant<qmin=0, qmax=15>(b, s, z)
  c = Conv<group=24, pads=[1,1,1,1], strides=[2,2]>(q, w2)
  e = Conv(c, w3)
  p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(e)
  f = Flatten(p)
  y = MatMul(f, w4)
  dy = Sub(y, t)
  d4 = com.microsoft.FusedMatMul<transA=1>(f, dy)
  df = com.microsoft.FusedMatMul<transB=1>(dy, w4)
  dp = roundel.ReshapeLike(df, p)
  de = roundel.MaxPoolGrad<kernel_shape=[2,2], strides=[2,2]>(dp, e)
  d3 = roundel.ConvGradWeight(de, c, w3)
  dc = roundel.ConvGradInput(de, w3, c)
  d2 = roundel.ConvGradWeight<group=24, pads=[1,1,1,1], strides=[2,2]>(dc, q, w2)
  dq = roundel.ConvGradInput<group=24, pads=[1,1,1,1], strides=[2,2]>(dc, w2, q)
  db, ds, _ = roundel.FakeQuantGrad<qmin=0, qmax=15>(dq, b, s, z)
  da = roundel.ReluGrad(db, b)
  d1 = roundel.ConvGradWeight<pads=[1,1,1,1]>(da, x, w1)
  dx = roundel.ConvGradInput<pads=[1,1,1,1]>(da, w1, x)
})";

std::vector<Tensor> Inputs(uint64_t chunk) {
  return {RandomTensor({4, 8, 20, 20}, 10 + chunk),
          RandomTensor({4, 10}, 100 + chunk),
          RandomTensor({24, 8, 3, 3}, 1),
          RandomTensor({24, 1, 3, 3}, 2),
          RandomTensor({32, 24, 1, 1}, 3),
          RandomTensor({800, 10}, 4),
          Tensor::Scalar(0.1f),
          Tensor::Scalar(0.0f)};
}

// The gradients of all chunks, by chunk, with `threads` for the process.
std::vector<std::vector<Tensor>> Step(const graph::Model& model, int threads, int chunks) {
  SetThreads(threads);
  Lanes lanes(threads);
  std::vector<std::vector<Tensor>> results(static_cast<size_t>(chunks));
  std::atomic<int> next = 0, failed = 0;
  lanes.Run(threads, [&](int) {
    const auto executor = Executor::Create(model);
    if (!executor.ok()) ++failed;
    for (int i = next++; executor.ok() && i < chunks; i = next++) {
      auto made = (*executor)->Run(Inputs(static_cast<uint64_t>(i)));
      if (made.ok())
        results[static_cast<size_t>(i)] = std::move(*made);
      else
        ++failed;
    }
  });
  SetThreads(0);
  REQUIRE(failed == 0);
  return results;
}

TEST_CASE("gradients are the same bytes for any number of threads") {
  const graph::Model model = ParseModel(kStep);
  constexpr int kChunks = 5;
  const auto one = Step(model, 1, kChunks);
  for (const int threads : {2, 4}) {
    const auto more = Step(model, threads, kChunks);
    for (size_t i = 0; i < one.size(); ++i)
      for (size_t k = 0; k < one[i].size(); ++k) {
        INFO(threads << " threads, chunk " << i << ", result " << k);
        CHECK(more[i][k] == one[i][k]);
      }
  }
}

TEST_CASE("a whole step runs in fast kernels and gives the plain kernels' gradients") {
  const graph::Model model = ParseModel(kStep);
  CheckFastEqualsPlain(model, Inputs(0), {}, 2e-5);
  const Coverage coverage = FastCoverage(model, Inputs(0));
  CHECK(coverage.steps - coverage.fast <= 2);  // Flatten, ReshapeLike
}

}  // namespace
}  // namespace roundel::engine
