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
  // Errors: kModel, with op, domain, version and node, for an unsupported operator. `model` need
  // not outlive the executor (tensors are shared, not copied).
  static Result<std::unique_ptr<Executor>> Create(const graph::Model& model,
                                                  const ExecutorOptions& options = {});
  virtual ~Executor() = default;

  // Graph inputs that the caller must feed, in file order (without those that have an initializer),
  // and the outputs that Run returns.
  virtual const std::vector<std::string>& input_names() const = 0;
  virtual const std::vector<std::string>& output_names() const = 0;

  // `inputs` in the order of input_names(). Errors: kModel for shapes that do not fit (with node,
  // op and shapes), the error of a tap, or kInterrupted. Not re-entrant.
  Result<std::vector<Tensor>> Run(const std::vector<Tensor>& inputs,
                                  const std::vector<Tap>& taps = {});
  // The same for models with sequences and optionals as inputs or outputs.
  virtual Result<std::vector<Datum>> RunAny(const std::vector<Datum>& inputs,
                                            const std::vector<Tap>& taps = {}) = 0;

  // The memory of the activations of the runs so far.
  virtual int64_t activation_bytes() const = 0;
  // Steps in the order of execution; empty unless ExecutorOptions requests it.
  virtual std::vector<StepTime> profile() const = 0;
};

// Nodes that cannot run, one line each ("NonMaxSuppression (ai.onnx, opset 11), node 'nms'"), found
// without a run, also in sub-graphs.
std::vector<std::string> UnsupportedNodes(const graph::Model& model);

}  // namespace roundel::engine
