#pragma once
// The contract of plain kernels: one obvious function per operator, written from the operator
// specification, over row-major tensors. They are the reference that fast kernels are tested against,
// and what runs where no fast kernel exists.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/tensor/datum.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

// What a kernel sees of one execution of one node. Lives only during the call.
class OpContext {
 public:
  virtual ~OpContext() = default;
  virtual const graph::Node& node() const = 0;
  // Version of the node's operator set in the model.
  virtual int64_t opset() const = 0;
  virtual size_t input_count() const = 0;
  virtual size_t output_count() const = 0;
  // nullptr if the input was left out, there are fewer inputs, or it is not a tensor. Row-major.
  virtual const Tensor* input(size_t i) const = 0;
  // True if somebody wants output i.
  virtual bool wants(size_t i) const = 0;
  // A new output tensor, not initialised; the pointer stays valid during the call.
  virtual Result<Tensor*> Output(size_t i, DType type, const Shape& shape) = 0;
  // An output that shares storage with an input (Reshape, Identity) or was made by the kernel.
  virtual void SetOutput(size_t i, Tensor value) = 0;

  // ---- for operators that are marked any_kind in the table
  // Input i, whatever it is; nothing if it was left out. A tensor is valid during the call only.
  virtual Datum datum(size_t i) const { return input(i) ? Datum(*input(i)) : Datum(); }
  // The tensors of a sequence own their memory: what came as an input tensor is copied first.
  virtual void SetDatum(size_t i, Datum value) { SetOutput(i, std::move(value.tensor)); }
  // Runs the sub-graph in that attribute; results are valid like inputs.
  virtual Result<std::vector<Datum>> RunSubgraph(const std::string& attribute,
                                                 const std::vector<Datum>& inputs) {
    return ModelError("there is no sub-graph '" + attribute + "' that takes " +
                      std::to_string(inputs.size()) + " inputs");
  }
};

using Kernel = Status (*)(OpContext& context);

// One row of the op table: `kernel` implements `op_type` of `domain` for opset versions in
// [since, until]. A kernel that serves several versions asks context.opset().
struct OpEntry {
  const char* op_type;
  const char* domain;
  int since;
  int until;  // kLatest: up to the newest version this program knows
  Kernel kernel;
  // Takes or makes more than tensors (sequences, optionals), or runs sub-graphs.
  bool any_kind = false;
};
inline constexpr int kLatest = 1 << 30;

// nullptr if the op is not supported in that version.
const OpEntry* FindOp(const std::string& domain, const std::string& op_type, int64_t opset);
// The whole table, sorted by domain and op_type.
const std::vector<OpEntry>& OpTable();

}  // namespace roundel::engine
