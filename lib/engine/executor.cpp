#include "lib/engine/executor.h"

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <utility>

#include "lib/base/interrupt.h"
#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/engine/plan.h"
#include "lib/engine/run_state.h"

namespace roundel::engine {
namespace {

std::string DimsString(const std::vector<graph::Dim>& dims) {
  std::vector<std::string> parts;
  for (const graph::Dim& dim : dims)
    parts.push_back(dim.value ? StrCat(*dim.value) : dim.symbol.empty() ? "?" : dim.symbol);
  return "[" + Join(parts) + "]";
}

Status CheckInput(const graph::ValueInfo& declared, const Tensor& given) {
  const auto where = [&] { return StrCat("model input '", declared.name, "'"); };
  if (!given.defined()) return ModelError(StrCat(where(), " was not given"));
  if (declared.dtype != DType::kUndefined && declared.dtype != given.dtype())
    return ModelError(StrCat(where(), " takes ", DTypeName(declared.dtype), ", given ",
                             DTypeName(given.dtype())));
  if (!declared.shape) return OkStatus();
  const std::vector<graph::Dim>& dims = *declared.shape;
  bool fits = static_cast<int64_t>(dims.size()) == given.rank();
  for (size_t i = 0; fits && i < dims.size(); ++i)
    fits = !dims[i].value || *dims[i].value == given.shape()[i];
  if (fits) return OkStatus();
  return ModelError(
      StrCat(where(), " takes shape ", DimsString(dims), ", given ", ShapeString(given.shape())));
}

using TapsBySlot = std::unordered_map<int, std::vector<const Tap*>>;

class PlanExecutor : public Executor {
 public:
  PlanExecutor(Plan plan, bool profile) : plan_(std::move(plan)), state_(plan_) {
    if (!profile) return;
    for (const Step& step : plan_.steps) {
      std::vector<std::string> ops;
      for (int node : step.whole.nodes) ops.push_back(plan_.nodes[node].node.op_type);
      profile_.push_back({.ops = Join(ops, "+")});
    }
  }

  const std::vector<std::string>& input_names() const override { return plan_.input_names; }
  const std::vector<std::string>& output_names() const override { return plan_.output_names; }
  int64_t activation_bytes() const override { return state_.activation_bytes(); }
  std::vector<StepTime> profile() const override { return profile_; }

  Result<std::vector<Tensor>> Run(const std::vector<Tensor>& inputs,
                                  const std::vector<Tap>& taps) override {
    RETURN_IF_ERROR(CheckInputs(inputs));
    ASSIGN_OR_RETURN(const TapsBySlot by_slot, PlaceTaps(taps));
    state_.Begin(Signature(inputs, taps));
    std::vector<Tensor> outputs;
    const Status status = RunSteps(inputs, by_slot, &outputs);
    state_.End(status.ok());
    if (!status.ok()) return status;
    return outputs;
  }

 private:
  Status CheckInputs(const std::vector<Tensor>& inputs) const {
    if (inputs.size() != plan_.inputs.size())
      return ModelError(StrCat("the model takes ", plan_.inputs.size(), " inputs (",
                               Join(plan_.input_names), "), given ", inputs.size()));
    for (size_t i = 0; i < inputs.size(); ++i)
      RETURN_IF_ERROR(CheckInput(plan_.inputs[i], inputs[i]));
    return OkStatus();
  }

  Result<TapsBySlot> PlaceTaps(const std::vector<Tap>& taps) const {
    TapsBySlot by_slot;
    for (const Tap& tap : taps) {
      const auto it = plan_.slot_of.find(tap.value);
      if (it == plan_.slot_of.end() || !plan_.slots[it->second].pinned())
        return InternalError(StrCat("value '", tap.value,
                                    "' cannot be tapped: it was not announced to the executor"));
      by_slot[it->second].push_back(&tap);
    }
    return by_slot;
  }

  // What the sizes and the order of allocations depend on.
  static std::string Signature(const std::vector<Tensor>& inputs, const std::vector<Tap>& taps) {
    std::string signature = StrCat(Threads());
    for (const Tensor& input : inputs)
      signature += DTypeName(input.dtype()) + ShapeString(input.shape());
    for (const Tap& tap : taps) signature += StrCat(tap.any_order ? '~' : '=', tap.value);
    return signature;
  }

  Status RunSteps(const std::vector<Tensor>& inputs, const TapsBySlot& taps,
                  std::vector<Tensor>* outputs) {
    for (const auto& [slot, unused] : taps)
      if (plan_.slots[slot].constant) RETURN_IF_ERROR(CallTaps(slot, taps));
    for (size_t i = 0; i < inputs.size(); ++i) {
      state_.SetInput(plan_.input_slots[i], inputs[i]);
      RETURN_IF_ERROR(Made(plan_.input_slots[i], taps));
    }
    for (const Step& step : plan_.steps) {
      if (Interrupted()) return InterruptedError();
      RETURN_IF_ERROR(profile_.empty() ? RunStep(step) : RunTimed(step));
      // Inputs go first: a result that took over their memory is then its only owner.
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
      ASSIGN_OR_RETURN(Tensor output, state_.TakeOutput(slot));
      outputs->push_back(std::move(output));
    }
    return OkStatus();
  }

  Status RunTimed(const Step& step) {
    StepTime& entry = profile_[static_cast<size_t>(&step - plan_.steps.data())];
    const auto start = std::chrono::steady_clock::now();
    entry.fast = state_.RunFast(step.whole, step.dies);
    Status status = entry.fast ? OkStatus() : RunSlowly(step);
    entry.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return status;
  }

  Status RunStep(const Step& step) {
    return state_.RunFast(step.whole, step.dies) ? OkStatus() : RunSlowly(step);
  }

  // What no kernel computes as a whole.
  Status RunSlowly(const Step& step) {
    if (step.members.empty()) return state_.RunPlainNode(step.whole);
    for (const Unit& member : step.members) RETURN_IF_ERROR(state_.Run(member, {}));
    for (size_t i = 0; i + 1 < step.members.size(); ++i)
      for (int slot : step.members[i].outputs)
        if (slot != kNoSlot) state_.Release(slot);
    return OkStatus();
  }

  // A value has come into being.
  Status Made(int slot, const TapsBySlot& taps) {
    RETURN_IF_ERROR(state_.Quantize(slot));
    return CallTaps(slot, taps);
  }

  Status CallTaps(int slot, const TapsBySlot& taps) {
    const auto it = taps.find(slot);
    if (it == taps.end()) return OkStatus();
    for (const Tap* tap : it->second) {
      if (state_.dtype(slot) != DType::kFloat)
        return ModelError(StrCat("value '", tap->value, "' holds ", DTypeName(state_.dtype(slot)),
                                 ": only float32 values can be tapped"));
      ASSIGN_OR_RETURN(const float* data, state_.Elements(slot, tap->any_order));
      const Shape& shape = state_.shape(slot);
      const bool last = tap->any_order && state_.layout(slot) == Layout::kChannelsLast;
      RETURN_IF_ERROR(tap->callback(
          {tap->value, shape, {data, static_cast<size_t>(NumElements(shape))}, last}));
    }
    return OkStatus();
  }

  const Plan plan_;
  RunState state_;
  std::vector<StepTime> profile_;  // by step
};

}  // namespace

Result<std::unique_ptr<Executor>> Executor::Create(const graph::Model& model,
                                                   const ExecutorOptions& options) {
  ASSIGN_OR_RETURN(Plan plan, BuildPlan(model, options));
  return std::unique_ptr<Executor>(
      std::make_unique<PlanExecutor>(std::move(plan), options.profile));
}

}  // namespace roundel::engine
