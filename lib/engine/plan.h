#pragma once
// The compiled form of a graph: values as numbered slots, nodes as steps in execution order.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/status.h"
#include "lib/engine/options.h"
#include "lib/fast/fast_kernel.h"
#include "lib/graph/graph.h"
#include "lib/ops/op.h"
#include "lib/quant/encodings.h"
#include "lib/tensor/datum.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

inline constexpr int kNoSlot = -1;  // an absent optional input, an output without readers

struct Plan;

// The interface of a compiled sub-graph for the node that holds it.
class NestedPlan {
 public:
  virtual ~NestedPlan() = default;
  virtual const Plan& plan() const = 0;
  // The first `own` inputs are the sub-graph's, the others captured. A result tensor may be one of
  // the inputs with another shape.
  virtual Result<std::vector<Datum>> RunNested(const std::vector<Datum>& inputs, size_t own) = 0;
  // Sets taps: from now on it calls them with their values. Taps of other values are ignored.
  virtual void SetTaps(const std::vector<Tap>& taps) = 0;
  // The memory of the activations of its runs so far.
  virtual int64_t activation_bytes() const = 0;
};

// A sub-graph of a node (If, Loop, Scan, SequenceMap), compiled.
struct Subgraph {
  std::string attribute;               // "then_branch"
  std::shared_ptr<NestedPlan> runner;  // of its own inputs, then the captured ones
  std::vector<size_t> captured;        // indices into PlanNode::inputs
};

// One node after inlining. Only the slots determine its operands and results.
struct PlanNode {
  graph::Node node;
  int64_t opset = 0;
  const OpEntry* op = nullptr;
  std::vector<int> inputs, outputs;
  size_t captured = 0;  // number of last inputs that sub-graphs read from outside
  std::vector<Subgraph> subgraphs = {};
};

struct Slot {
  std::string name;
  std::optional<Tensor> constant;           // initializers and folded nodes, already fake-quantized
  std::optional<quant::Encoding> encoding;  // of values that are computed
  // For a dequantized constant: the grid and the codes that it was made from.
  std::optional<quant::Encoding> constant_encoding;
  bool as_codes = false;  // held as codes: integer kernels read it
  bool is_input = false;
  bool is_output = false;
  bool tapped = false;
  // True if fusion must not remove the value.
  bool pinned() const { return is_output || tapped || encoding.has_value(); }
};

// A unit: one node, or several that one fast kernel computes. If that kernel declines the given
// shapes, the members run one by one.
struct Unit {
  std::vector<int> nodes;                         // indices into Plan::nodes, in order
  std::vector<int> inputs;                        // slots; of one node: its inputs, by position
  std::vector<int> outputs;                       // slots of the last node's outputs
  std::vector<std::unique_ptr<FastKernel>> fast;  // tried in this order, then the plain kernel
};
struct Step {
  Unit whole;
  std::vector<Unit> members;  // empty for a step of one node
  std::vector<int> dies;      // slots that this step reads last, or without readers
};

struct Plan {
  std::vector<PlanNode> nodes;
  std::vector<Slot> slots;
  std::vector<Step> steps;
  std::vector<graph::ValueInfo> inputs;  // those that a caller feeds
  std::vector<std::string> captured;     // of a sub-graph: values from outside, fed after those
  std::vector<int> input_slots, output_slots;
  std::vector<std::string> input_names, output_names;
  std::set<std::string> tapped_inside;           // values of sub-graphs that any run may tap
  std::unordered_map<std::string, int> slot_of;  // by name; of values that no fusion swallowed
};

}  // namespace roundel::engine
