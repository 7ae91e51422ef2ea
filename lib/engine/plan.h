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
#include "lib/engine/executor.h"
#include "lib/engine/fast/fast_kernel.h"
#include "lib/engine/flatten.h"
#include "lib/engine/op.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

inline constexpr int kNoSlot = -1;  // an optional input left out, an output that nobody wants

class PlanRunner;

// A sub-graph of a node (If, Loop, Scan, SequenceMap), compiled.
struct Subgraph {
  std::string attribute;               // "then_branch"
  std::shared_ptr<PlanRunner> runner;  // of its own inputs, then the captured ones
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
  std::vector<int> nodes;    // indices into Plan::nodes, in order
  std::vector<int> inputs;   // slots; of one node: its inputs, by position
  std::vector<int> outputs;  // slots of the last node's outputs
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
  std::set<std::string> tapped_inside;  // values of sub-graphs that any run may tap
  std::unordered_map<std::string, int> slot_of;  // by name; of values that no fusion swallowed
};

Result<Plan> BuildPlan(const graph::Model& model, const ExecutorOptions& options);

// Initializers that are no inputs, and tensors of Constant nodes.
using ConstantsByName = std::unordered_map<std::string, const Tensor*>;
ConstantsByName ConstantsOf(const graph::Graph& graph, const std::vector<FlatNode>& nodes);

// Operators on codes with constant grids become operators on floats between quantizers. `opset`: of
// the model's ai.onnx operators.
void UnfoldCodeOperators(const graph::Graph& graph, int64_t opset, std::vector<FlatNode>* nodes);

// A quantized model's QuantizeLinear -> DequantizeLinear pairs on activations, taken out of `nodes` and
// handed back as encodings of the values that are left: one fake quantization in place, in whatever
// layout, that also lets the layers around it fuse. Values in `keep` stay; pairs with parameters per
// channel or computed ones stay as nodes.
std::map<std::string, quant::Encoding> TakeQuantizerPairs(const graph::Graph& graph,
                                                          const std::set<std::string>& keep,
                                                          std::vector<FlatNode>* nodes);

// What a DequantizeLinear of constants stands for: a grid of 8 bits, or int32 for a bias, per tensor or
// per channel, with the codes. nullopt for any other node. `inputs`: nullptr where left out.
std::optional<quant::Encoding> EncodingOfDequantize(const PlanNode& node,
                                                    const std::vector<const Tensor*>& inputs);

// Cuts plan->nodes into steps (units without kernels): in fast mode, chains that one kernel can
// compute become one step. `fused` receives, by step, what the kernel has to compute.
std::vector<Step> MakeSteps(const Plan& plan, bool fuse, std::vector<KernelSpec>* specs);
// What a kernel for one node alone has to compute.
KernelSpec SingleSpec(const Plan& plan, int node);

}  // namespace roundel::engine
