#include "lib/engine/plan_executor.h"

#include <algorithm>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/engine/plan_builder.h"
#include "lib/engine/plan_runner.h"
#include "lib/engine/sample_axis.h"
#include "lib/graph/value_types.h"
#include "lib/graph/widen.h"

namespace roundel::engine {
namespace {

// The types of the outputs as the operators compute them. Plain mode ignores declarations that
// contradict them, and so does this mode.
std::unordered_map<std::string, DType> OutputTypes(const graph::Model& model) {
  graph::Model undeclared = graph::Clone(model);
  for (graph::ValueInfo& output : undeclared.graph->outputs) output.dtype = DType::kUndefined;
  undeclared.graph->value_info.clear();
  const auto made = graph::InferValueTypes(undeclared);
  std::unordered_map<std::string, DType> types;
  for (const graph::ValueInfo& output : model.graph->outputs) {
    const auto it = made.find(output.name);
    types[output.name] = it == made.end() ? output.dtype : it->second;
  }
  return types;
}

class PlanExecutor : public Executor {
 public:
  // `model`: as given by the user; `widened`: the plan is that of the same model in float32.
  PlanExecutor(Plan plan, const graph::Model& model, bool widened, bool profile)
      : inside_(plan.tapped_inside),
        runner_(std::move(plan), profile),
        plan_(runner_.plan()),
        inputs_(plan_.inputs) {
    for (graph::ValueInfo& input : inputs_)
      for (const graph::ValueInfo& declared : model.graph->inputs)
        if (declared.name == input.name) input.dtype = declared.dtype;
    output_types_.assign(plan_.output_names.size(), DType::kUndefined);
    if (!widened) return;
    const auto types = OutputTypes(model);
    for (size_t i = 0; i < output_types_.size(); ++i) {
      const auto it = types.find(plan_.output_names[i]);
      if (it != types.end() && graph::IsHalf(it->second)) output_types_[i] = it->second;
    }
  }

  const std::vector<std::string>& input_names() const override { return plan_.input_names; }
  const std::vector<std::string>& output_names() const override { return plan_.output_names; }
  int64_t activation_bytes() const override { return runner_.activation_bytes(); }
  std::vector<StepTime> profile() const override { return runner_.profile(); }

  Result<std::vector<Datum>> RunAny(const std::vector<Datum>& inputs,
                                    const std::vector<Tap>& taps) override {
    RETURN_IF_ERROR(CheckInputs(inputs));
    ASSIGN_OR_RETURN(const TapsBySlot by_slot, PlaceTaps(taps));
    runner_.SetNestedTaps(taps);
    std::vector<Datum> fed = inputs;
    for (size_t i = 0; i < fed.size(); ++i)
      if (plan_.inputs[i].dtype == DType::kFloat && graph::IsHalf(inputs_[i].dtype))
        fed[i].tensor = fed[i].tensor.ToFloat();
    ASSIGN_OR_RETURN(std::vector<Datum> outputs,
                     runner_.Run(fed, Signature(fed, taps), true, by_slot));
    for (size_t i = 0; i < outputs.size(); ++i)
      if (output_types_[i] != DType::kUndefined && outputs[i].tensor.dtype() == DType::kFloat)
        outputs[i].tensor = outputs[i].tensor.FromFloatTo(output_types_[i]);
    return outputs;
  }

 private:
  Status CheckInputs(const std::vector<Datum>& inputs) const {
    if (inputs.size() != inputs_.size())
      return ModelError(StrCat("the model takes ", inputs_.size(), " inputs (",
                               Join(plan_.input_names), "), given ", inputs.size()));
    for (size_t i = 0; i < inputs.size(); ++i) {
      const std::string mismatch = InputMismatch(inputs_[i], inputs[i], true);
      if (!mismatch.empty())
        return ModelError(StrCat("model input '", inputs_[i].name, "' ", mismatch));
    }
    return OkStatus();
  }

  Result<TapsBySlot> PlaceTaps(const std::vector<Tap>& taps) const {
    TapsBySlot by_slot;
    for (const Tap& tap : taps) {
      if (inside_.contains(tap.value)) continue;
      const auto it = plan_.slot_of.find(tap.value);
      if (it == plan_.slot_of.end() || !plan_.slots[it->second].pinned())
        return InternalError(StrCat("value '", tap.value,
                                    "' cannot be tapped: it was not announced to the executor"));
      by_slot[it->second].push_back(&tap);
    }
    return by_slot;
  }

  // Everything that the sizes and the order of allocations depend on.
  static std::string Signature(const std::vector<Datum>& inputs, const std::vector<Tap>& taps) {
    std::string signature = StrCat(Threads());
    for (const Datum& input : inputs)
      signature += DTypeName(input.tensor.dtype()) + ShapeString(input.tensor.shape());
    for (const Tap& tap : taps) signature += StrCat(tap.any_order ? '~' : '=', tap.value);
    return signature;
  }

  const std::set<std::string> inside_;  // values of sub-graphs; some may never be computed
  PlanRunner runner_;
  const Plan& plan_;
  std::vector<graph::ValueInfo> inputs_;
  std::vector<DType> output_types_;  // by output; kUndefined: as computed
};

}  // namespace

Result<std::unique_ptr<Executor>> CreateWhole(const graph::Model& model,
                                              const ExecutorOptions& options,
                                              bool* samples_are_independent) {
  const std::optional<graph::Model> wide =
      options.fast_kernels ? graph::WidenedHalves(model) : std::optional<graph::Model>();
  ASSIGN_OR_RETURN(Plan plan, BuildPlan(wide ? *wide : model, options));
  if (samples_are_independent) *samples_are_independent = JudgeSamples(plan).independent;
  return std::unique_ptr<Executor>(
      std::make_unique<PlanExecutor>(std::move(plan), model, wide.has_value(), options.profile));
}

}  // namespace roundel::engine
