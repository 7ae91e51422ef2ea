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

inline constexpr int kNoSlot = -1;  // an optional input left out, an output that nobody wants

struct Plan;

// A compiled sub-graph as the node that holds it sees it.
class NestedPlan {
 public:
  virtual ~NestedPlan() = default;
  virtual const Plan& plan() const = 0;
  // The first `own` inputs are the sub-graph's, the others captured. A tensor among the results may be
  // one of the inputs under another shape.
  virtual Result<std::vector<Datum>> RunNested(const std::vector<Datum>& inputs, size_t own) = 0;
  // From now on it hands these their values, too; what it does not have is left out.
  virtual void SetTaps(const std::vector<Tap>& taps) = 0;
  // What the activations of its runs so far have been given.
  virtual int64_t activation_bytes() const = 0;
};

// A sub-graph of a node (If, Loop, Scan, SequenceMap), compiled.
struct Subgraph {
  std::string attribute;               // "then_branch"
  std::shared_ptr<NestedPlan> runner;  // of its own inputs, then the captured ones
  std::vector<size_t> captured;        // indices into PlanNode::inputs
};

// One node, functions inlined; only the slots say what it reads and writes.
struct PlanNode {
  graph::Node node;
  int64_t opset = 0;
  const OpEntry* op = nullptr;
  std::vector<int> inputs, outputs;
  size_t captured = 0;  // so many of the last inputs are what sub-graphs read from outside
  std::vector<Subgraph> subgraphs = {};
};

struct Slot {
  std::string name;
  std::optional<Tensor> constant;           // initializers and folded nodes, already fake-quantized
  std::optional<quant::Encoding> encoding;  // of values that are computed
  // Of a constant that stands for codes: the grid and the codes it was made from.
  std::optional<quant::Encoding> constant_encoding;
  bool as_codes = false;  // held as codes: integer kernels read it
  bool is_input = false;
  bool is_output = false;
  bool tapped = false;
  // True if the value must exist as such, so that no fusion may swallow it.
  bool pinned() const { return is_output || tapped || encoding.has_value(); }
};

// What runs at once: one node, or several that one fast kernel computes. If that kernel declines
// the shapes it is given, the members run one by one.
struct Unit {
  std::vector<int> nodes;                         // indices into Plan::nodes, in order
  std::vector<int> inputs;                        // slots; of one node: its inputs, by position
  std::vector<int> outputs;                       // slots of the last node's outputs
  std::vector<std::unique_ptr<FastKernel>> fast;  // tried in this order, then the plain kernel
};
struct Step {
  Unit whole;
  std::vector<Unit> members;  // empty for a step of one node
  std::vector<int> dies;      // slots whose last reader this step is, or that nobody reads
};

struct Plan {
  std::vector<PlanNode> nodes;
  std::vector<Slot> slots;
  std::vector<Step> steps;
  std::vector<graph::ValueInfo> inputs;  // those that a caller feeds
  std::vector<std::string> captured;     // of a sub-graph: values from outside, fed behind those
  std::vector<int> input_slots, output_slots;
  std::vector<std::string> input_names, output_names;
  std::set<std::string> tapped_inside;           // values of sub-graphs that any run may tap
  std::unordered_map<std::string, int> slot_of;  // by name; of values that no fusion swallowed
};

}  // namespace roundel::engine
