#include "lib/engine/plan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "lib/base/text.h"
#include "lib/engine/integer/kernels.h"
#include "lib/engine/plain_run.h"
#include "lib/graph/graph.h"

namespace roundel::engine {
namespace {

// What is folded beyond these sizes, alone or in all, is left to the run, which frees it again: a
// tiny file can ask for any amount of zeros.
constexpr int64_t kMaxFoldedBytes = int64_t{1} << 28;
constexpr int64_t kMaxFoldedTotal = int64_t{1} << 30;

// "NonMaxSuppression (ai.onnx, opset 11), node 'nms'"
std::string Describe(const graph::Node& node, int64_t opset) {
  return StrCat(
      node.op_type, " (", node.domain.empty() ? "ai.onnx" : node.domain, ", opset ", opset,
      "), node ",
      node.name.empty() ? StrCat("producing '", node.output(0), "'") : StrCat("'", node.name, "'"));
}

class Builder {
 public:
  Builder(const graph::Model& model, const ExecutorOptions& options)
      : model_(model), graph_(*model.graph), options_(options) {}

  Result<Plan> Build() {
    ASSIGN_OR_RETURN(flat_, Flatten(model_));
    if (options_.fast_kernels && !options_.simulate) {
      std::set<std::string> keep(options_.outputs.begin(), options_.outputs.end());
      keep.insert(options_.tapped_values.begin(), options_.tapped_values.end());
      for (const graph::ValueInfo& output : graph_.outputs) keep.insert(output.name);
      pairs_ = TakeQuantizerPairs(graph_, keep, &flat_);
    }
    RETURN_IF_ERROR(IndexProducers());
    RETURN_IF_ERROR(FindRoots());
    RETURN_IF_ERROR(OrderNodes());
    for (size_t i : order_) RETURN_IF_ERROR(CheckNode(flat_[i]));
    RETURN_IF_ERROR(AddSources());
    for (size_t i : order_) RETURN_IF_ERROR(AddNode(flat_[i]));
    for (const std::string& name : output_names_) plan_.output_slots.push_back(plan_.slot_of[name]);
    plan_.output_names = output_names_;
    DropUnusedConstants();
    MakeKernels();
    FindDeaths();
    return std::move(plan_);
  }

 private:
  Status IndexProducers() {
    for (size_t i = 0; i < flat_.size(); ++i)
      for (const std::string& output : flat_[i].node.outputs)
        if (!output.empty() && !producer_.emplace(output, i).second)
          return ModelError(StrCat("value '", output, "' is produced twice"));
    return OkStatus();
  }

  bool IsSource(const std::string& name) const {
    return graph_.FindInitializer(name) || inputs_.contains(name);
  }

  Status FindRoots() {
    for (const graph::ValueInfo& input : graph_.inputs) inputs_.insert(input.name);
    output_names_ = options_.outputs;
    if (output_names_.empty())
      for (const graph::ValueInfo& output : graph_.outputs) output_names_.push_back(output.name);
    for (const std::string& name : output_names_) {
      if (!producer_.contains(name) && !IsSource(name))
        return ModelError(StrCat("no value of the model is named '", name, "' (wanted as output)"));
      outputs_.insert(name);
    }
    for (const std::string& name : options_.tapped_values) {
      if (!producer_.contains(name) && !IsSource(name))
        return ModelError(StrCat("no value of the model is named '", name, "' (to be tapped)"));
      tapped_.insert(name);
    }
    return OkStatus();
  }

  // The nodes that roots depend on, in an order that keeps the file's where that is valid.
  Status OrderNodes() {
    std::vector<char> state(flat_.size(), 0);  // 1: being visited, 2: placed
    std::vector<size_t> stack;
    const auto visit = [&](const std::string& root) {
      const auto it = producer_.find(root);
      if (it != producer_.end() && state[it->second] == 0) stack.push_back(it->second);
    };
    std::vector<size_t> needed;
    for (const auto* roots : {&outputs_, &tapped_})
      for (const std::string& root : *roots) visit(root);
    while (!stack.empty()) {
      const size_t i = stack.back();
      if (state[i] != 0) {
        stack.pop_back();
        if (state[i] == 1) needed.push_back(i);
        state[i] = 2;
        continue;
      }
      state[i] = 1;
      for (const std::string& input : flat_[i].node.inputs) {
        if (input.empty()) continue;
        ++uses_[input];
        const auto it = producer_.find(input);
        if (it == producer_.end()) continue;
        if (state[it->second] == 1)
          return ModelError(
              StrCat("the graph has a cycle through node ", flat_[i].node.DisplayName()));
        if (state[it->second] == 0) stack.push_back(it->second);
      }
    }
    return SortByFile(needed);
  }

  // Depth-first order is valid but keeps values alive longer than the order of the file, which is
  // preferred if it is valid too.
  Status SortByFile(const std::vector<size_t>& depth_first) {
    order_ = depth_first;
    std::sort(order_.begin(), order_.end());
    std::set<std::string> made;
    for (size_t i : order_) {
      for (const std::string& input : flat_[i].node.inputs) {
        if (input.empty() || made.contains(input) || !producer_.contains(input)) continue;
        order_ = depth_first;
        return OkStatus();
      }
      made.insert(flat_[i].node.outputs.begin(), flat_[i].node.outputs.end());
    }
    return OkStatus();
  }

  Status CheckNode(const FlatNode& flat) const {
    if (!FindOp(flat.node.domain, flat.node.op_type, flat.opset))
      return ModelError(StrCat("operator not supported: ", Describe(flat.node, flat.opset)));
    for (const std::string& input : flat.node.inputs)
      if (!input.empty() && !producer_.contains(input) && !IsSource(input))
        return ModelError(StrCat("node ", flat.node.DisplayName(), " reads '", input,
                                 "', which nothing produces"));
    return OkStatus();
  }

  const quant::Encoding* EncodingOf(const std::string& name) const {
    const quant::EncodingTable& table = options_.simulate ? *options_.simulate : pairs_;
    const auto it = table.find(name);
    return it == table.end() ? nullptr : &it->second;
  }

  int NewSlot(const std::string& name) {
    Slot slot{.name = name};
    slot.is_output = outputs_.contains(name);
    slot.tapped = tapped_.contains(name);
    if (const quant::Encoding* encoding = EncodingOf(name)) slot.encoding = *encoding;
    plan_.slots.push_back(std::move(slot));
    const int id = static_cast<int>(plan_.slots.size()) - 1;
    plan_.slot_of[name] = id;
    return id;
  }

  Status NewConstant(const std::string& name, Tensor value) {
    Slot& slot = plan_.slots[NewSlot(name)];
    if (slot.encoding) {
      const quant::Encoding& e = *slot.encoding;
      Status status = value.dtype() == DType::kFloat
                          ? quant::CheckEncoding(e, value.shape())
                          : ModelError(StrCat("holds ", DTypeName(value.dtype()),
                                              ", only float32 can be quantized"));
      if (status.ok() && e.codes && e.codes->shape() != value.shape())
        status = ModelError(StrCat("codes of shape ", ShapeString(e.codes->shape()),
                                   " for a value of shape ", ShapeString(value.shape())));
      if (!status.ok()) return std::move(status).At(StrCat("encoding of '", name, "'"));
      if (!e.codes) slot.encoding->codes = quant::QuantizeTensor(value, e);
      value = quant::DequantizeTensor(*e.codes, e);
      slot.constant_encoding = std::move(slot.encoding);
      slot.encoding.reset();
    }
    slot.constant = std::move(value);
    return OkStatus();
  }

  Status AddSources() {
    for (const graph::ValueInfo& input : graph_.inputs) {
      if (graph_.FindInitializer(input.name)) continue;
      const int slot = NewSlot(input.name);
      plan_.slots[slot].is_input = true;
      plan_.inputs.push_back(input);
      plan_.input_slots.push_back(slot);
      plan_.input_names.push_back(input.name);
    }
    for (const graph::Initializer& initializer : graph_.initializers()) {
      const std::string& name = initializer.name;
      if (!uses_.contains(name) && !outputs_.contains(name) && !tapped_.contains(name)) continue;
      RETURN_IF_ERROR(NewConstant(name, initializer.value));
    }
    return OkStatus();
  }

  Status AddNode(const FlatNode& flat) {
    PlanNode node{.node = flat.node,
                  .opset = flat.opset,
                  .op = FindOp(flat.node.domain, flat.node.op_type, flat.opset)};
    bool constant = true;
    for (const std::string& input : node.node.inputs) {
      node.inputs.push_back(input.empty() ? kNoSlot : plan_.slot_of.at(input));
      constant &= input.empty() || plan_.slots[node.inputs.back()].constant.has_value();
    }
    // Without inputs a node is constant only if it says so: the others are random generators.
    if (node.inputs.empty()) constant = node.node.Is("Constant");
    if (constant) {
      ASSIGN_OR_RETURN(const bool folded, Fold(node));
      if (folded) return OkStatus();
    }
    if (options_.fast_kernels && IsIdentity(node)) {
      plan_.slot_of[node.node.outputs[0]] = node.inputs[0];
      return OkStatus();
    }
    for (const std::string& output : node.node.outputs)
      node.outputs.push_back(Wanted(output) ? NewSlot(output) : kNoSlot);
    plan_.nodes.push_back(std::move(node));
    return OkStatus();
  }

  bool Wanted(const std::string& output) const {
    return !output.empty() &&
           (uses_.contains(output) || outputs_.contains(output) || tapped_.contains(output));
  }

  // Identity, and Dropout as inference sees it, whose result nobody needs under its own name.
  bool IsIdentity(const PlanNode& node) const {
    const std::string& output = node.node.output(0);
    if (node.inputs.empty() || node.inputs[0] == kNoSlot || output.empty()) return false;
    if (outputs_.contains(output) || tapped_.contains(output) || EncodingOf(output)) return false;
    if (node.node.Is("Identity")) return true;
    if (!node.node.Is("Dropout") || node.opset < 7 || Wanted(node.node.output(1))) return false;
    if (node.inputs.size() < 3 || node.inputs[2] == kNoSlot) return true;
    const std::optional<Tensor>& training = plan_.slots[node.inputs[2]].constant;
    return training && training->dtype() == DType::kBool && training->size() == 1 &&
           training->ToInt64s()[0] == 0;
  }

  // Runs a node of constants now. False: its results are too large to keep.
  Result<bool> Fold(const PlanNode& source) {
    PlanNode node = source;
    for (const std::string& output : node.node.outputs)
      node.outputs.push_back(Wanted(output) ? 0 : kNoSlot);
    std::vector<const Tensor*> inputs;
    for (int slot : node.inputs)
      inputs.push_back(slot == kNoSlot ? nullptr : &*plan_.slots[slot].constant);
    bool too_large = false;
    const auto allocate = [&](DType type, const Shape& shape) -> Result<Tensor> {
      const int64_t bytes = ByteSize(type, NumElements(shape));
      too_large |= bytes > kMaxFoldedBytes || bytes > kMaxFoldedTotal - folded_bytes_;
      if (!too_large) folded_bytes_ += bytes;
      if (too_large) return ModelError("too large to fold");
      return Tensor::Empty(type, shape);
    };
    std::vector<Tensor> outputs;
    Status status = RunPlain(node, inputs, allocate, &outputs);
    if (too_large) return false;
    RETURN_IF_ERROR(std::move(status));
    // Before new slots move the old ones.
    const std::optional<quant::Encoding> stored = EncodingOfDequantize(node, inputs);
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (node.outputs[i] == kNoSlot) continue;
      RETURN_IF_ERROR(NewConstant(node.node.outputs[i], std::move(outputs[i])));
      Slot& slot = plan_.slots.back();
      if (!slot.constant_encoding) slot.constant_encoding = stored;
    }
    return true;
  }

  // What only folded nodes have read need not stay in memory.
  void DropUnusedConstants() {
    std::vector<char> used(plan_.slots.size(), 0);
    for (const PlanNode& node : plan_.nodes)
      for (int slot : node.inputs)
        if (slot != kNoSlot) used[slot] = 1;
    for (size_t i = 0; i < plan_.slots.size(); ++i) {
      Slot& slot = plan_.slots[i];
      if (slot.constant && !used[i] && !slot.is_output && !slot.tapped) slot.constant = Tensor();
      if (slot.constant && !slot.constant->defined()) slot.constant_encoding.reset();
    }
  }

  static bool OnlyFirst(const std::vector<int>& outputs) {
    for (size_t i = 1; i < outputs.size(); ++i)
      if (outputs[i] != kNoSlot) return false;
    return !outputs.empty() && outputs[0] != kNoSlot;
  }

  void MakeKernels() {
    std::vector<KernelSpec> specs;
    plan_.steps = MakeSteps(plan_, options_.fast_kernels, &specs);
    if (!options_.fast_kernels) return;
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      Step& step = plan_.steps[i];
      if (!OnlyFirst(step.whole.outputs)) continue;  // fast kernels have one result
      if (auto integer = MakeIntegerKernel(specs[i])) {
        for (int slot : step.whole.inputs)
          if (slot != kNoSlot && plan_.slots[slot].encoding) plan_.slots[slot].as_codes = true;
        step.whole.fast.push_back(std::move(integer));
      }
      AddFloatKernel(specs[i], &step.whole);
      for (Unit& member : step.members)
        AddFloatKernel(SingleSpec(plan_, member.nodes[0]), &member);
    }
  }

  static void AddFloatKernel(const KernelSpec& spec, Unit* unit) {
    if (auto kernel = MakeFastKernel(spec)) unit->fast.push_back(std::move(kernel));
  }

  void FindDeaths() {
    std::vector<int> last(plan_.slots.size(), -1);
    for (size_t i = 0; i < plan_.steps.size(); ++i)
      for (const auto* slots : {&plan_.steps[i].whole.inputs, &plan_.steps[i].whole.outputs})
        for (int slot : *slots)
          if (slot != kNoSlot) last[slot] = static_cast<int>(i);
    for (size_t slot = 0; slot < last.size(); ++slot)
      if (last[slot] >= 0 && !plan_.slots[slot].constant && !plan_.slots[slot].is_output)
        plan_.steps[last[slot]].dies.push_back(static_cast<int>(slot));
    std::set<int> swallowed;  // values that exist only if a fused kernel declines
    for (const Step& step : plan_.steps)
      for (size_t i = 0; i + 1 < step.whole.nodes.size(); ++i)
        for (int slot : plan_.nodes[step.whole.nodes[i]].outputs) swallowed.insert(slot);
    std::erase_if(plan_.slot_of,
                  [&](const auto& entry) { return swallowed.contains(entry.second); });
  }

  const graph::Model& model_;
  const graph::Graph& graph_;
  const ExecutorOptions& options_;
  std::vector<FlatNode> flat_;
  quant::EncodingTable pairs_;                        // of a model that is already quantized
  std::unordered_map<std::string, size_t> producer_;  // value -> index into flat_
  std::unordered_map<std::string, int> uses_;         // by nodes that are needed
  std::set<std::string> inputs_, outputs_, tapped_;
  std::vector<std::string> output_names_;
  std::vector<size_t> order_;
  int64_t folded_bytes_ = 0;
  Plan plan_;
};

}  // namespace

Result<Plan> BuildPlan(const graph::Model& model, const ExecutorOptions& options) {
  return Builder(model, options).Build();
}

std::vector<std::string> UnsupportedNodes(const graph::Model& model) {
  std::vector<std::string> lines;
  const Result<std::vector<FlatNode>> flat = Flatten(model);
  if (!flat.ok()) return {flat.status().message()};
  const std::function<void(const graph::Node&, int64_t)> check = [&](const graph::Node& node,
                                                                     int64_t opset) {
    if (!FindOp(node.domain, node.op_type, opset)) lines.push_back(Describe(node, opset));
    graph::ForEachSubgraph(node, [&](graph::Graph& sub) {
      for (const graph::NodePtr& inner : sub.nodes()) check(*inner, model.Opset(inner->domain));
    });
  };
  for (const FlatNode& node : *flat) check(node.node, node.opset);
  return lines;
}

}  // namespace roundel::engine
