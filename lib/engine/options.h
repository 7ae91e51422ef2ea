#pragma once
// Options of compilation, and taps of a run.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/quant/encodings.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

// A value when it has just been computed; valid until the callback returns.
struct TapView {
  const std::string& name;
  const Shape& shape;
  // Every element exactly once; row-major unless the tap has any_order.
  std::span<const float> data;
  // With any_order: a value [N, C, spatial...] is stored as [N, spatial..., C].
  bool channels_last = false;
};

struct Tap {
  std::string value;       // graph input, node output; float values only
  bool any_order = false;  // the observer ignores the order of elements: saves a copy
  std::function<Status(const TapView&)> callback;
  // Called before `observe`: if false, the value is neither converted nor observed. Empty: always
  // true.
  std::function<bool()> wanted = {};
};

struct ExecutorOptions {
  // Values that a run may tap: fusion does not remove them.
  std::vector<std::string> tapped_values;
  // Simulation of the quantized model: activations, and graph inputs, are fake-quantized when they
  // are computed; weights and biases with an encoding are replaced by their dequantized codes. Not
  // owned; read during Create only.
  const quant::EncodingTable* simulate = nullptr;
  // false: plain kernels only, no fusion; the reference in tests.
  bool fast_kernels = true;
  // Graph outputs to compute; empty = all.
  std::vector<std::string> outputs;
  // If samples are independent, a batch runs in parts with about this much memory for activations,
  // which then stay in the caches from layer to layer. 0: batches run whole.
  int64_t part_bytes = int64_t{20} << 20;
  // Measures the time of every step: Executor::profile().
  bool profile = false;
};

// The time of one step of the plan, over all runs so far.
struct StepTime {
  std::string ops;    // "Conv+Relu": the nodes of the kernel
  bool fast = false;  // by a fast kernel, the last time at least
  double seconds = 0;
};

}  // namespace roundel::engine
