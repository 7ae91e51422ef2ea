#pragma once
// One input "x" through the engine and through ONNX Runtime, and how far two results are apart.

#include <algorithm>
#include <cmath>

#include "lib/engine/executor.h"
#include "lib/io/onnx.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"

namespace roundel::e2e {

// The first output. `fast`: with fast kernels, else by plain ones alone.
inline Tensor Run(const graph::Model& model, const Tensor& x, bool fast = true) {
  auto executor = engine::Executor::Create(model, {.fast_kernels = fast});
  INFO((executor.ok() ? "" : executor.status().message()));
  REQUIRE(executor.ok());
  auto outputs = (*executor)->Run({x});
  INFO((outputs.ok() ? "" : outputs.status().message()));
  REQUIRE(outputs.ok());
  return (*outputs)[0];
}

inline Tensor RunInOrt(const graph::Model& model, const Tensor& x, const ScratchFolder& scratch,
                       bool optimize = true) {
  const std::string file = scratch.File("model.onnx");
  REQUIRE(io::WriteOnnx(model, file).ok());
  auto results =
      RunOrt({{.model = file, .optimize = optimize, .inputs = {{"x", x}}}}, scratch.path());
  INFO((results.ok() ? "" : results.status().message()));
  REQUIRE(results.ok());
  return (*results)[0][0];
}

// The largest difference as a share of the largest value of `b`; all of `a` must be finite.
inline double Distance(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const Tensor fa = a.ToFloat(), fb = b.ToFloat();
  const auto element = [](const Tensor& tensor, const Tensor& floats, int64_t i) {
    return tensor.dtype() == DType::kDouble ? tensor.data<double>()[i] : floats.data<float>()[i];
  };
  double difference = 0, largest = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double x = element(a, fa, i), y = element(b, fb, i);
    REQUIRE(std::isfinite(x));
    difference = std::max(difference, std::fabs(x - y));
    largest = std::max(largest, std::fabs(y));
  }
  return difference / largest;
}

}  // namespace roundel::e2e
