#include "lib/engine/plan_runner.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "lib/base/interrupt.h"
#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/engine/step_work.h"

namespace roundel::engine {
namespace {

std::string DimsString(const std::vector<graph::Dim>& dims) {
  std::vector<std::string> parts;
  for (const graph::Dim& dim : dims)
    parts.push_back(dim.value ? StrCat(*dim.value) : dim.symbol.empty() ? "?" : dim.symbol);
  return "[" + Join(parts) + "]";
}

}  // namespace

std::string InputMismatch(const graph::ValueInfo& declared, const Datum& given, bool shapes) {
  if (!declared.type_bytes.empty()) return "";  // a sequence or an optional: its readers check it
  if (declared.dtype == DType::kUndefined && !declared.shape) return "";
  if (!given.is_tensor())
    return StrCat("takes a tensor, given ", given.is_sequence() ? "a sequence" : "nothing");
  if (declared.dtype != DType::kUndefined && declared.dtype != given.tensor.dtype())
    return StrCat("takes ", DTypeName(declared.dtype), ", given ", DTypeName(given.tensor.dtype()));
  if (!shapes || !declared.shape) return "";
  const std::vector<graph::Dim>& dims = *declared.shape;
  bool fits = static_cast<int64_t>(dims.size()) == given.tensor.rank();
  for (size_t i = 0; fits && i < dims.size(); ++i)
    fits = !dims[i].value || *dims[i].value == given.tensor.shape()[i];
  if (fits) return "";
  return StrCat("takes shape ", DimsString(dims), ", given ", ShapeString(given.tensor.shape()));
}

PlanRunner::PlanRunner(Plan plan, bool profile)
    : plan_(std::move(plan)), state_(plan_), memo_(plan_) {
  if (!profile) return;
  for (const Step& step : plan_.steps) {
    std::vector<std::string> ops;
    for (int node : step.whole.nodes) ops.push_back(plan_.nodes[node].node.op_type);
    profile_.push_back({.ops = Join(ops, "+")});
  }
}

int64_t PlanRunner::activation_bytes() const {
  int64_t bytes = state_.activation_bytes();
  for (const PlanNode& node : plan_.nodes)
    for (const Subgraph& subgraph : node.subgraphs) bytes += subgraph.runner->activation_bytes();
  return bytes;
}

Result<std::vector<Datum>> PlanRunner::Run(const std::vector<Datum>& inputs,
                                           const std::string& signature, bool recurs,
                                           const TapsBySlot& taps) {
  state_.Begin(signature, recurs);
  std::vector<Datum> outputs;
  const Status status = RunSteps(inputs, taps, &outputs);
  state_.End(status.ok());
  if (!status.ok()) return status;
  return outputs;
}

TapsBySlot PlanRunner::FindTaps(const std::vector<Tap>& taps) const {
  TapsBySlot by_slot;
  for (const Tap& tap : taps)
    if (const auto it = plan_.slot_of.find(tap.value);
        it != plan_.slot_of.end() && plan_.slots[it->second].tapped)
      by_slot[it->second].push_back(&tap);
  return by_slot;
}

void PlanRunner::SetNestedTaps(const std::vector<Tap>& taps) {
  for (const PlanNode& node : plan_.nodes)
    for (const Subgraph& subgraph : node.subgraphs) subgraph.runner->SetTaps(taps);
}

void PlanRunner::SetTaps(const std::vector<Tap>& taps) {
  nested_taps_ = FindTaps(taps);
  SetNestedTaps(taps);
}

Result<std::vector<Datum>> PlanRunner::RunNested(const std::vector<Datum>& inputs, size_t own) {
  if (own != plan_.inputs.size())
    return ModelError(StrCat("the sub-graph takes ", plan_.inputs.size(), " inputs, given ", own));
  std::string signature = StrCat(Threads());
  for (size_t i = 0; i < inputs.size(); ++i) {
    // Declared shapes are not checked here: those of loop-carried values may change.
    const std::string mismatch =
        i < own ? InputMismatch(plan_.inputs[i], inputs[i], false) : std::string();
    if (!mismatch.empty())
      return ModelError(StrCat("sub-graph input '", plan_.inputs[i].name, "' ", mismatch));
    if (inputs[i].is_tensor()) signature += ShapeString(inputs[i].tensor.shape());
  }
  signature += StrCat(nested_taps_.size());
  // A loop whose shapes grow never repeats a signature: a layout of its memory would be useless.
  const bool recurs = signature == last_signature_;
  last_signature_ = signature;
  return Run(inputs, signature, recurs, nested_taps_);
}

Status PlanRunner::RunSteps(const std::vector<Datum>& inputs, const TapsBySlot& taps,
                            std::vector<Datum>* outputs) {
  for (const auto& [slot, unused] : taps)
    if (plan_.slots[slot].constant) RETURN_IF_ERROR(CallTaps(slot, taps));
  for (size_t i = 0; i < inputs.size(); ++i) {
    state_.SetInput(plan_.input_slots[i], inputs[i]);
    RETURN_IF_ERROR(Made(plan_.input_slots[i], taps));
  }
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    const Step& step = plan_.steps[i];
    if (Interrupted()) return InterruptedError();
    RETURN_IF_ERROR(profile_.empty() ? RunStep(i) : RunTimed(i));
    // Inputs are released first, so that a result that took over their memory is its only owner.
    const auto is_output = [&](int slot) {
      return std::find(step.whole.outputs.begin(), step.whole.outputs.end(), slot) !=
             step.whole.outputs.end();
    };
    for (int slot : step.dies)
      if (!is_output(slot)) state_.Release(slot);
    for (int slot : step.whole.outputs)
      if (slot != kNoSlot) RETURN_IF_ERROR(Made(slot, taps));
    for (int slot : step.dies)
      if (is_output(slot)) state_.Release(slot);
  }
  for (int slot : plan_.output_slots) {
    ASSIGN_OR_RETURN(Datum output, state_.TakeOutput(slot));
    outputs->push_back(std::move(output));
  }
  return OkStatus();
}

Status PlanRunner::RunTimed(size_t i) {
  const Step& step = plan_.steps[i];
  StepTime& entry = profile_[i];
  const auto start = std::chrono::steady_clock::now();
  entry.fast = !memo_.Covers(i) && RunFast(step);
  Status status = entry.fast ? OkStatus() : memo_.Covers(i) ? RunSizes(i) : RunSlowly(step);
  entry.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return status;
}

Status PlanRunner::RunStep(size_t i) {
  if (memo_.Covers(i)) return RunSizes(i);
  return RunFast(plan_.steps[i]) ? OkStatus() : RunSlowly(plan_.steps[i]);
}

Status PlanRunner::RunSizes(size_t i) {
  const Unit& unit = plan_.steps[i].whole;
  const bool of_shape = memo_.ReadsShape(i);
  const Shape shape = of_shape ? state_.shape(unit.inputs[0]) : Shape();
  if (const std::vector<Tensor>* known = memo_.Recall(i, shape)) {
    for (size_t k = 0; k < unit.outputs.size(); ++k)
      if (unit.outputs[k] != kNoSlot) state_.SetInput(unit.outputs[k], (*known)[k]);
    return OkStatus();
  }
  using Computes = RunState::Computes;
  RETURN_IF_ERROR(state_.RunPlainNode(unit, of_shape ? Computes::kShape : Computes::kSizes));
  std::vector<Tensor> results;
  for (int slot : unit.outputs)
    results.push_back(slot == kNoSlot ? Tensor::Empty(DType::kUint8, {0}) : state_.OwnTensor(slot));
  memo_.Keep(i, shape, std::move(results));
  return OkStatus();
}

bool PlanRunner::RunFast(const Step& step) {
  if (step.whole.fast.empty()) return false;
  const int threads = Threads();
  if (threads == 1 || WorthThreads(plan_, step, state_))
    return state_.RunFast(step.whole, step.dies);
  SetThreads(1);
  const bool done = state_.RunFast(step.whole, step.dies);
  SetThreads(threads);
  return done;
}

// Runs the nodes of a step that no kernel computes as a whole.
Status PlanRunner::RunSlowly(const Step& step) {
  if (step.members.empty()) return state_.RunPlainNode(step.whole);
  for (const Unit& member : step.members) RETURN_IF_ERROR(state_.Run(member, {}));
  for (size_t i = 0; i + 1 < step.members.size(); ++i)
    for (int slot : step.members[i].outputs)
      if (slot != kNoSlot) state_.Release(slot);
  return OkStatus();
}

// Called when a value has been computed.
Status PlanRunner::Made(int slot, const TapsBySlot& taps) {
  RETURN_IF_ERROR(state_.Quantize(slot));
  return CallTaps(slot, taps);
}

Status PlanRunner::CallTaps(int slot, const TapsBySlot& taps) {
  const auto it = taps.find(slot);
  if (it == taps.end()) return OkStatus();
  for (const Tap* tap : it->second) {
    if (tap->wanted && !tap->wanted()) continue;
    if (state_.dtype(slot) != DType::kFloat)
      return ModelError(StrCat("value '", tap->value, "' holds ", DTypeName(state_.dtype(slot)),
                               ": only float32 values can be tapped"));
    ASSIGN_OR_RETURN(const float* data, state_.Elements(slot, tap->any_order));
    const Shape& shape = state_.shape(slot);
    const bool last = tap->any_order && state_.layout(slot) == Layout::kChannelsLast;
    RETURN_IF_ERROR(
        tap->callback({tap->value, shape, {data, static_cast<size_t>(NumElements(shape))}, last}));
  }
  return OkStatus();
}

}  // namespace roundel::engine
