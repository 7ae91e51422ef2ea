#pragma once
// Models from text, random inputs, and comparison of the fast kernels with the plain ones.

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/engine/plan_builder.h"
#include "lib/engine/run_state.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"
#include "tests/support/parse_model.h"

namespace roundel::engine {

using support::ParseModel;

inline Tensor RandomTensor(const Shape& shape, uint64_t seed, double low = -1, double high = 1) {
  Tensor t = Tensor::Empty(DType::kFloat, shape);
  Random random(seed);
  float* to = t.mutable_data<float>();
  for (int64_t i = 0; i < t.size(); ++i)
    to[i] = static_cast<float>(low + (high - low) * random.Uniform());
  return t;
}

inline std::unique_ptr<Executor> MustCreate(const graph::Model& model,
                                            const ExecutorOptions& options = {}) {
  auto executor = Executor::Create(model, options);
  INFO((executor.ok() ? "" : executor.status().message()));
  REQUIRE(executor.ok());
  return std::move(*executor);
}

inline std::vector<Tensor> MustRun(Executor& executor, const std::vector<Tensor>& inputs,
                                   const std::vector<Tap>& taps = {}) {
  auto outputs = executor.Run(inputs, taps);
  INFO((outputs.ok() ? "" : outputs.status().message()));
  REQUIRE(outputs.ok());
  return std::move(*outputs);
}

// Largest difference, relative to the largest magnitude of `expected`.
inline double RelativeError(const Tensor& actual, const Tensor& expected) {
  REQUIRE(actual.dtype() == expected.dtype());
  REQUIRE(actual.shape() == expected.shape());
  if (actual.dtype() != DType::kFloat) return actual == expected ? 0 : 1;
  double difference = 0, magnitude = 1e-30;
  for (int64_t i = 0; i < expected.size(); ++i) {
    const double e = expected.data<float>()[i], a = actual.data<float>()[i];
    if (!std::isfinite(a)) return INFINITY;
    difference = std::max(difference, std::fabs(a - e));
    magnitude = std::max(magnitude, std::fabs(e));
  }
  return difference / magnitude;
}

// Sums of up to some thousand products in another order.
inline constexpr double kTolerance = 2e-6;

inline void CheckFastEqualsPlain(const graph::Model& model, const std::vector<Tensor>& inputs,
                                 ExecutorOptions options = {}, double tolerance = kTolerance) {
  options.fast_kernels = true;
  const std::vector<Tensor> fast = MustRun(*MustCreate(model, options), inputs);
  options.fast_kernels = false;
  const std::vector<Tensor> plain = MustRun(*MustCreate(model, options), inputs);
  REQUIRE(fast.size() == plain.size());
  for (size_t i = 0; i < fast.size(); ++i) CHECK(RelativeError(fast[i], plain[i]) < tolerance);
}

// How the model is cut: steps, and how many of them their fast kernels take for these inputs.
struct Coverage {
  size_t steps = 0, fast = 0;
};
inline Coverage FastCoverage(const graph::Model& model, const std::vector<Tensor>& inputs) {
  Result<Plan> plan = BuildPlan(model, {});
  REQUIRE(plan.ok());
  RunState state(*plan);
  state.Begin("test");
  for (size_t i = 0; i < inputs.size(); ++i) state.SetInput(plan->input_slots[i], inputs[i]);
  Coverage coverage{plan->steps.size(), 0};
  for (const Step& step : plan->steps) {
    if (state.RunFast(step.whole, step.dies)) {
      ++coverage.fast;
      continue;
    }
    if (step.members.empty())
      CHECK(state.Run(step.whole, {}).ok());
    else
      for (const Unit& member : step.members) CHECK(state.Run(member, {}).ok());
  }
  state.End(false);
  return coverage;
}

// One fused step, taken by its fast kernel, with the results of the plain kernels.
inline void CheckOneFastStep(const std::string& text, const std::vector<Tensor>& inputs,
                             double tolerance = kTolerance) {
  INFO(text);
  const graph::Model model = ParseModel(text);
  const Coverage coverage = FastCoverage(model, inputs);
  CHECK(coverage.steps == 1);
  CHECK(coverage.fast == 1);
  CheckFastEqualsPlain(model, inputs, {}, tolerance);
}

}  // namespace roundel::engine
