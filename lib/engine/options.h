#pragma once
// How a model is compiled and what a run is watched for.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/quant/encodings.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

// A value at the moment it exists; gone when the callback returns.
struct TapView {
  const std::string& name;
  const Shape& shape;
  // Every element exactly once; row-major unless the tap said any_order.
  std::span<const float> data;
  // With any_order, of values [N, C, spatial...]: they lie as [N, spatial..., C].
  bool channels_last = false;
};

struct Tap {
  std::string value;       // graph input, node output; float values only
  bool any_order = false;  // the observer does not care about element order: spares a copy
  std::function<Status(const TapView&)> callback;
  // Asked before each call, so that nothing is converted for an observer that has seen enough. Empty:
  // every call is wanted.
  std::function<bool()> wanted = {};
};

struct ExecutorOptions {
  // Values that any run may tap: they are computed as such (no fusion swallows them).
  std::vector<std::string> tapped_values;
  // Simulation of the quantized model: activations are fake-quantized as they appear (graph inputs
  // too), weights and biases with an encoding are replaced by what their codes stand for.
  // Not owned; read during Create only.
  const quant::EncodingTable* simulate = nullptr;
  // false: plain kernels only, no fusion. The oracle of tests, and the fallback for bisecting.
  bool fast_kernels = true;
  // Graph outputs to compute; empty = all.
  std::vector<std::string> outputs;
  // A batch of a model that computes every sample by itself runs in parts whose activations take about
  // so much, which stay in the caches from layer to layer. 0: batches run as they are.
  int64_t part_bytes = int64_t{20} << 20;
  // Keeps the time that every step takes: Executor::profile().
  bool profile = false;
};

// What one step of the plan took so far, over all runs.
struct StepTime {
  std::string ops;    // "Conv+Relu", what one kernel computes together
  bool fast = false;  // by a fast kernel, the last time at least
  double seconds = 0;
};

}  // namespace roundel::engine
