#include "lib/engine/plan_builder.h"

#include <algorithm>
#include <set>
#include <utility>

#include "lib/base/text.h"
#include "lib/engine/code_operators.h"
#include "lib/engine/quantizer_pairs.h"
#include "lib/engine/round_inputs.h"
#include "lib/engine/steps.h"
#include "lib/fast/integer/kernels.h"
#include "lib/graph/rounded_products.h"

namespace roundel::engine {

Result<Plan> PlanBuilder::Build() {
  ASSIGN_OR_RETURN(flat_, Flatten(source_.model, graph_, source_.function, &budget_));
  if (graph::RoundsProductInputs(source_.model)) RoundInputs();
  if (options_.fast_kernels && !options_.simulate) TakePairs();
  ASSIGN_OR_RETURN(producer_, Producers(flat_));
  RETURN_IF_ERROR(FindRoots());
  std::vector<std::string> roots(outputs_.begin(), outputs_.end());
  roots.insert(roots.end(), tapped_.begin(), tapped_.end());
  ASSIGN_OR_RETURN(NodeOrder order, OrderNodes(flat_, producer_, roots));
  uses_ = std::move(order.uses);
  for (size_t i : order.nodes) RETURN_IF_ERROR(CheckNode(flat_[i]));
  RETURN_IF_ERROR(AddSources());
  for (size_t i : order.nodes) RETURN_IF_ERROR(AddNode(flat_[i]));
  for (const std::string& name : output_names_) plan_.output_slots.push_back(plan_.slot_of[name]);
  plan_.output_names = output_names_;
  for (const std::string& name : tapped_)
    if (!plan_.slot_of.contains(name)) plan_.tapped_inside.insert(name);
  if (branches_ > 0 || unread_) DropDeadNodes();
  DropUnusedConstants();
  MakeKernels();
  FindDeaths();
  return std::move(plan_);
}

void PlanBuilder::RoundInputs() {
  const auto outer = [this](const std::string& value) -> const Tensor* {
    for (const Captured& captured : source_.captured)
      if (captured.name == value) return captured.constant ? &*captured.constant : nullptr;
    return nullptr;
  };
  RoundInputsOfProducts(graph_, outer, &flat_);
}

void PlanBuilder::TakePairs() {
  std::set<std::string> keep(options_.outputs.begin(), options_.outputs.end());
  keep.insert(options_.tapped_values.begin(), options_.tapped_values.end());
  for (const graph::ValueInfo& output : graph_.outputs) keep.insert(output.name);
  UnfoldCodeOperators(graph_, source_.model.Opset(), &flat_);
  pairs_ = TakeQuantizerPairs(graph_, keep, &flat_);
}

bool PlanBuilder::IsSource(const std::string& name) const {
  return graph_.FindInitializer(name) || inputs_.contains(name);
}

Status PlanBuilder::FindRoots() {
  for (const graph::ValueInfo& input : graph_.inputs) inputs_.insert(input.name);
  for (const Captured& captured : source_.captured) inputs_.insert(captured.name);
  output_names_ = options_.outputs;
  if (output_names_.empty())
    for (const graph::ValueInfo& output : graph_.outputs) output_names_.push_back(output.name);
  for (const std::string& name : output_names_) {
    if (!producer_.contains(name) && !IsSource(name))
      return ModelError(StrCat("no value of the model is named '", name, "' (wanted as output)"));
    outputs_.insert(name);
  }
  const std::unordered_set<std::string> inside =
      options_.tapped_values.empty() ? std::unordered_set<std::string>() : MadeInside();
  for (const std::string& name : options_.tapped_values) {
    if (!producer_.contains(name) && !IsSource(name) && !inside.contains(name))
      return ModelError(StrCat("no value of the model is named '", name, "' (to be tapped)"));
    tapped_.insert(name);
  }
  return OkStatus();
}

Status PlanBuilder::CheckNode(const FlatNode& flat) const {
  if (!FindOp(flat.node.domain, flat.node.op_type, flat.opset))
    return ModelError(StrCat("operator not supported: ", DescribeNode(flat.node, flat.opset)));
  for (const std::string& input : flat.node.inputs)
    if (!input.empty() && !producer_.contains(input) && !IsSource(input))
      return ModelError(
          StrCat("node ", flat.node.DisplayName(), " reads '", input, "', which nothing produces"));
  return OkStatus();
}

const quant::Encoding* PlanBuilder::EncodingOf(const std::string& name) const {
  const quant::EncodingTable& table = options_.simulate ? *options_.simulate : pairs_;
  const auto it = table.find(name);
  return it == table.end() ? nullptr : &it->second;
}

int PlanBuilder::NewSlot(const std::string& name) {
  Slot slot{.name = name};
  slot.is_output = outputs_.contains(name);
  slot.tapped = tapped_.contains(name);
  if (const quant::Encoding* encoding = EncodingOf(name)) slot.encoding = *encoding;
  plan_.slots.push_back(std::move(slot));
  const int id = static_cast<int>(plan_.slots.size()) - 1;
  plan_.slot_of[name] = id;
  return id;
}

int PlanBuilder::NewInput(const std::string& name) {
  const int slot = NewSlot(name);
  plan_.slots[slot].is_input = true;
  plan_.input_slots.push_back(slot);
  return slot;
}

Status PlanBuilder::NewConstant(const std::string& name, Tensor value) {
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

Status PlanBuilder::AddSources() {
  for (const graph::ValueInfo& input : graph_.inputs) {
    if (graph_.FindInitializer(input.name)) continue;
    NewInput(input.name);
    plan_.inputs.push_back(input);
    plan_.input_names.push_back(input.name);
  }
  for (const Captured& captured : source_.captured) {
    if (!Wanted(captured.name)) continue;
    if (!captured.constant) {
      NewInput(captured.name);
      plan_.captured.push_back(captured.name);
      continue;
    }
    Slot& slot = plan_.slots[NewSlot(captured.name)];  // quantized in the outer graph
    slot.encoding.reset();
    slot.constant = captured.constant;
    slot.constant_encoding = captured.constant_encoding;
  }
  for (const graph::Initializer& initializer : graph_.initializers())
    if (Wanted(initializer.name)) RETURN_IF_ERROR(NewConstant(initializer.name, initializer.value));
  return OkStatus();
}

bool PlanBuilder::Wanted(const std::string& value) const {
  return !value.empty() &&
         (uses_.contains(value) || outputs_.contains(value) || tapped_.contains(value));
}

namespace {

bool OnlyFirst(const std::vector<int>& outputs) {
  for (size_t i = 1; i < outputs.size(); ++i)
    if (outputs[i] != kNoSlot) return false;
  return !outputs.empty() && outputs[0] != kNoSlot;
}

// Most fast kernels have one result.
bool MakesAllResults(const graph::Node& node) {
  return node.domain == "roundel" || node.Is("DynamicQuantizeLinear");
}

void AddFloatKernel(const KernelSpec& spec, Unit* unit) {
  if (auto kernel = MakeFastKernel(spec)) unit->fast.push_back(std::move(kernel));
}

}  // namespace

void PlanBuilder::MakeKernels() {
  std::vector<KernelSpec> specs;
  plan_.steps = MakeSteps(plan_, options_.fast_kernels, &specs);
  if (!options_.fast_kernels) return;
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    Step& step = plan_.steps[i];
    if (!OnlyFirst(step.whole.outputs) && !MakesAllResults(*specs[i].main)) continue;
    if (auto integer = MakeIntegerKernel(specs[i])) {
      for (int slot : step.whole.inputs)
        if (slot != kNoSlot && plan_.slots[slot].encoding) plan_.slots[slot].as_codes = true;
      step.whole.fast.push_back(std::move(integer));
    }
    AddFloatKernel(specs[i], &step.whole);
    for (Unit& member : step.members) AddFloatKernel(SingleSpec(plan_, member.nodes[0]), &member);
  }
}

void PlanBuilder::FindDeaths() {
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
  std::erase_if(plan_.slot_of, [&](const auto& entry) { return swallowed.contains(entry.second); });
}

Result<Plan> BuildPlan(const graph::Model& model, const ExecutorOptions& options) {
  UnfoldBudget budget;
  return PlanBuilder({model, *model.graph}, options, &budget).Build();
}

}  // namespace roundel::engine
