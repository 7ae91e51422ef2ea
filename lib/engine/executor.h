#pragma once
// Runs a model on the CPU: compiled once (constant folding, fusion, liveness), then fed batch after
// batch. Activations live in an arena that is laid out on the first run of each input signature.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/tensor/datum.h"
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
  std::string ops;  // "Conv+Relu", what one kernel computes together
  bool fast = false;  // by a fast kernel, the last time at least
  double seconds = 0;
};

class Executor {
 public:
  // Fails with kModel naming op, domain, version and node for an operator that is not supported.
  // `model` need not outlive the executor (tensors are shared, not copied).
  static Result<std::unique_ptr<Executor>> Create(const graph::Model& model,
                                                  const ExecutorOptions& options = {});
  virtual ~Executor() = default;

  // Graph inputs that a caller must feed, in file order (those with an initializer are optional and
  // not listed), and the outputs that Run returns.
  virtual const std::vector<std::string>& input_names() const = 0;
  virtual const std::vector<std::string>& output_names() const = 0;

  // `inputs` in the order of input_names(). Fails with kModel for shapes that do not fit (naming
  // node, op and shapes), with what a tap returned, or with kInterrupted. Not re-entrant.
  Result<std::vector<Tensor>> Run(const std::vector<Tensor>& inputs,
                                  const std::vector<Tap>& taps = {});
  // The same for models that take or give sequences and optionals.
  virtual Result<std::vector<Datum>> RunAny(const std::vector<Datum>& inputs,
                                            const std::vector<Tap>& taps = {}) = 0;

  // What the activations of the runs so far have been given.
  virtual int64_t activation_bytes() const = 0;
  // In the order of execution; empty unless asked for by ExecutorOptions.
  virtual std::vector<StepTime> profile() const = 0;
};

// Nodes that cannot run, one line each ("NonMaxSuppression (ai.onnx, opset 11), node 'nms'"), found
// without running anything; sub-graphs included.
std::vector<std::string> UnsupportedNodes(const graph::Model& model);

}  // namespace roundel::engine
