#pragma once
// The contract of plain kernels: one simple function per operator, written from the operator
// specification, over row-major tensors. They are the reference for tests of fast kernels, and run
// if no fast kernel exists.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/tensor/datum.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

// The inputs and outputs of one execution of one node. Valid only during the call.
class OpContext {
 public:
  virtual ~OpContext() = default;
  virtual const graph::Node& node() const = 0;
  // Opset version of the node's domain in the model.
  virtual int64_t opset() const = 0;
  virtual size_t input_count() const = 0;
  virtual size_t output_count() const = 0;
  // nullptr if the input is absent or not a tensor. Row-major.
  virtual const Tensor* input(size_t i) const = 0;
  // True if output i is needed.
  virtual bool wants(size_t i) const = 0;
  // A new, uninitialized output tensor; the pointer is valid during the call.
  virtual Result<Tensor*> Output(size_t i, DType type, const Shape& shape) = 0;
  // Sets an output that shares storage with an input (Reshape, Identity) or that the kernel made.
  virtual void SetOutput(size_t i, Tensor value) = 0;

  // ---- for operators with any_kind in the table
  // Input i of any kind; empty if the input is absent. A tensor is valid only during the call.
  virtual Datum datum(size_t i) const { return input(i) ? Datum(*input(i)) : Datum(); }
  // Requires: the tensors of a sequence own their memory, so input tensors must be copied first.
  virtual void SetDatum(size_t i, Datum value) { SetOutput(i, std::move(value.tensor)); }
  // Runs the sub-graph in that attribute. Its results are valid as long as inputs.
  virtual Result<std::vector<Datum>> RunSubgraph(const std::string& attribute,
                                                 const std::vector<Datum>& inputs) {
    return ModelError("there is no sub-graph '" + attribute + "' that takes " +
                      std::to_string(inputs.size()) + " inputs");
  }
};

using Kernel = Status (*)(OpContext& context);

// One row of the op table: `kernel` implements `op_type` of `domain` for opset versions in [since,
// until]. A kernel for several versions checks context.opset().
struct OpEntry {
  const char* op_type;
  const char* domain;
  int since;
  int until;  // kLatest: up to kNewestOpset
  Kernel kernel;
  // Has inputs or outputs other than tensors (sequences, optionals), or runs sub-graphs.
  bool any_kind = false;
};
inline constexpr int kLatest = 1 << 30;

// nullptr if the op is not supported in that version.
const OpEntry* FindOp(const std::string& domain, const std::string& op_type, int64_t opset);
// The whole table, sorted by domain and op_type.
const std::vector<OpEntry>& OpTable();

}  // namespace roundel::engine
