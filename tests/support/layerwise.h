#pragma once
// One rounding pass after a calibration that gives grids to weights only, and its results.

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "passes/runner.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"
#include "tests/support/vector_source.h"

namespace roundel::support {

struct Rounded {
  Session session;
  report::Report report;
  graph::Model before;
  const quant::Encoding& Weight(const std::string& name) const {
    return session.encodings.at(name);
  }
  // Code `i` of a weight of up to 8 bits.
  int Code(const std::string& name, int64_t i) const {
    return static_cast<int>(Weight(name).codes->ToInt64s()[static_cast<size_t>(i)]);
  }
};

struct RoundedOptions {
  quant::Grid grid{.bits = 4, .is_signed = true, .symmetric = true, .narrow_range = true};
  quant::Granularity granularity = quant::Granularity::kChannel;
  int64_t block_size = 0;
  std::map<std::string, std::string> params;  // of the pass
  uint64_t seed = 0;                          // of the recipe
  std::vector<std::string> first = {};        // passes between calibrate and the pass
  int activation_bits = 0;                    // 0: activations stay float
};

// `pass`: "" for calibration alone.
inline std::unique_ptr<Rounded> Round(const std::string& text, const std::string& pass,
                                      VectorSource* data, const RoundedOptions& options = {}) {
  auto r = std::make_unique<Rounded>();
  r->session.model = ParseModel(text);
  r->before = graph::Clone(r->session.model);
  r->session.target = target::LoadProfile("generic").value();
  r->session.grids = target::DefaultChoice(r->session.target);
  if (options.activation_bits > 0)
    r->session.grids.activations.bits = options.activation_bits;
  else
    r->session.grids.mode = target::ActivationMode::kFloat;
  r->session.grids.weights = options.grid;
  r->session.grids.weight_granularity = options.granularity;
  r->session.grids.block_size = options.block_size;
  r->session.data = data;
  r->session.random = Random(options.seed);
  std::vector<recipe::Step> steps = {
      {"calibrate", recipe::Params(passes::FindPass("calibrate")->params), 0}};
  for (const std::string& before : options.first)
    steps.push_back({before, recipe::Params(passes::FindPass(before)->params), 0});
  if (!pass.empty()) {
    const passes::PassInfo* info = passes::FindPass(pass);
    recipe::Step step{pass, recipe::Params(info->params), 0};
    for (const auto& [key, value] : options.params) {
      const Status set = step.params.SetFromText(info->params, key, value);
      INFO(set.message());
      REQUIRE(set.ok());
    }
    steps.push_back(step);
  }
  const Status status = passes::RunSteps(steps, {}, &r->session, &r->report);
  INFO(status.message());
  REQUIRE(status.ok());
  return r;
}

// Mean squared difference of the outputs from the float model's, by plain kernels.
inline double OutputError(const Rounded& r, VectorSource* data) {
  auto exact = engine::Executor::Create(r.before, {.fast_kernels = false}).value();
  auto rounded = engine::Executor::Create(r.session.model,
                                          {.simulate = &r.session.encodings, .fast_kernels = false})
                     .value();
  REQUIRE(data->Rewind().ok());
  double sum = 0;
  int64_t count = 0;
  while (const auto batch = data->Next().value()) {
    const Tensor y = exact->Run(batch->inputs).value()[0];
    const Tensor z = rounded->Run(batch->inputs).value()[0];
    for (int64_t i = 0; i < y.size(); ++i)
      sum += std::pow(static_cast<double>(y.data<float>()[i]) - z.data<float>()[i], 2);
    count += y.size();
  }
  return sum / static_cast<double>(count);
}

// Correlated values on multiples of 1/64, which half precision holds, behind a Relu if `positive`.
inline VectorSource CorrelatedSource(const Shape& shape, int batches, uint64_t seed,
                                     bool positive = false) {
  Random random(seed);
  std::vector<Batch> made;
  for (int b = 0; b < batches; ++b) {
    Tensor x = RandomTensor(shape, random);
    float* data = x.mutable_data<float>();
    float last = 0;
    for (int64_t i = 0; i < x.size(); ++i) {
      last = 0.7f * last + data[i];
      data[i] = std::round(64 * (positive ? std::max(0.0f, last) : last + 0.5f)) / 64;
    }
    Batch batch;
    batch.inputs = {x};
    batch.size = shape[0];
    batch.sample_names.assign(static_cast<size_t>(shape[0]), "sample");
    made.push_back(std::move(batch));
  }
  return VectorSource(std::move(made));
}

// Layers of all kinds, one behind the other.
inline constexpr char kManyLayers[] = R"(opset 13
  graph g (float32[N,4,6,6] x) => (float32[N,3] y) {
    float32[8,4,3,3] w1 = random(1)
    float32[8] b1 = random(2)
    float32[8,1,3,3] w2 = random(3)
    float32[8,6,2,2] w3 = random(4)
    float32[6,3,1,1] w4 = random(5)
    float32[6,5] w5 = random(6)
    float32[5,3] w6 = random(7)
    float32[3] b6 = random(8)
    c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
    r1 = Relu(c1)
    c2 = Conv<group=8>(r1, w2)
    r2 = Relu(c2)
    c3 = ConvTranspose(r2, w3)
    r3 = Relu(c3)
    c4 = Conv<group=2>(r3, w4)
    m = GlobalAveragePool(c4)
    f = Flatten(m)
    h = MatMul(f, w5)
    k = Relu(h)
    y = Gemm(k, w6, b6)
  })";

}  // namespace roundel::support
