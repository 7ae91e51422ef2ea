#pragma once
// Executes the steps of a plan, and of the plans nested in it.

#include <string>
#include <unordered_map>
#include <vector>

#include "lib/engine/options.h"
#include "lib/engine/plan.h"
#include "lib/engine/run_state.h"
#include "lib/engine/shape_memo.h"
#include "lib/tensor/datum.h"

namespace roundel::engine {

using TapsBySlot = std::unordered_map<int, std::vector<const Tap*>>;

class PlanRunner final : public NestedPlan {
 public:
  explicit PlanRunner(Plan plan, bool profile = false);
  PlanRunner(const PlanRunner&) = delete;
  PlanRunner& operator=(const PlanRunner&) = delete;

  const Plan& plan() const override { return plan_; }
  const std::vector<StepTime>& profile() const { return profile_; }
  // Of this plan and those nested in it.
  int64_t activation_bytes() const override;

  // `inputs` by plan().input_slots, checked by the caller. `signature`: what the sizes and the
  // order of allocations depend on; `recurs`: whether it is likely to come again.
  Result<std::vector<Datum>> Run(const std::vector<Datum>& inputs, const std::string& signature,
                                 bool recurs, const TapsBySlot& taps);
  // Sets the taps of nested plans.
  void SetNestedTaps(const std::vector<Tap>& taps);
  // The slots of the taps' values that are in this plan.
  TapsBySlot FindTaps(const std::vector<Tap>& taps) const;
  // As the sub-graph of a node.
  Result<std::vector<Datum>> RunNested(const std::vector<Datum>& inputs, size_t own) override;
  void SetTaps(const std::vector<Tap>& taps) override;

 private:
  Status RunSteps(const std::vector<Datum>& inputs, const TapsBySlot& taps,
                  std::vector<Datum>* outputs);
  Status RunStep(size_t i);
  bool RunFast(const Step& step);
  Status RunTimed(size_t i);
  // One that memo_ covers.
  Status RunSizes(size_t i);
  Status RunSlowly(const Step& step);
  Status Made(int slot, const TapsBySlot& taps);
  Status CallTaps(int slot, const TapsBySlot& taps);

  const Plan plan_;
  RunState state_;
  ShapeMemo memo_;
  std::vector<StepTime> profile_;  // by step, if wanted
  std::string last_signature_;     // of nested runs
  TapsBySlot nested_taps_;
};

// How a tensor differs from its declaration; "" if it fits. `shapes`: compare shapes, too.
std::string InputMismatch(const graph::ValueInfo& declared, const Datum& given, bool shapes);

}  // namespace roundel::engine
