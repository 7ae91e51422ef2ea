#pragma once
// Runs a model on the CPU: compiled once (constant folding, fusion, liveness), then fed batch after
// batch. Activations live in an arena that is laid out on the first run of each input signature.

#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/engine/options.h"
#include "lib/graph/graph.h"
#include "lib/tensor/datum.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

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
