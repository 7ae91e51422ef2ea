#include "lib/engine/sample_axis.h"

#include <optional>
#include <string>
#include <vector>

#include "lib/base/text.h"
#include "lib/engine/plan_builder.h"
#include "lib/engine/sample_facts.h"
#include "lib/engine/sample_rules.h"
#include "lib/graph/operators.h"

namespace roundel::engine {
namespace {

// Whether the node reads a shape, or computes sizes from sizes. Records its result.
bool MakesSizes(SampleFacts& s, const PlanNode& n) {
  std::optional<RankedSizes> made;
  const auto common = s.CommonAt(n, 0);
  if (n.node.op_type == "Shape" && s.Rank(n, 0) > 0) {
    Sizes shape(static_cast<size_t>(s.Rank(n, 0)), kOther);
    shape.front() = kSamples;
    made = RankedSizes{ShapePart(n.node, shape)};
  } else if (n.node.op_type == "Shape" && common) {
    made = RankedSizes{ShapePart(n.node, common->dims)};
  } else {
    std::vector<std::optional<RankedSizes>> inputs;
    bool any = false;  // an input holds sizes that are not constant
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      inputs.push_back(s.RankedSizesAt(n, i));
      any |= inputs.back() && !s.Constant(n, i) && (i == 0 || n.node.op_type != "Reshape");
    }
    if (any) made = ComputeSizes(n.node, inputs);
  }
  if (made && n.outputs[0] != kNoSlot) s.sizes[static_cast<size_t>(n.outputs[0])] = made;
  return made.has_value();
}

// Whether all inputs of the node, and so its output, are common to all samples. Records the output.
bool MakesCommon(SampleFacts& s, const PlanNode& n) {
  if (n.opset < 7 || n.outputs.empty() || n.outputs[0] == kNoSlot) return false;
  std::vector<std::optional<Common>> inputs;
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    inputs.push_back(s.CommonAt(n, i));
    if (s.Given(n, i) && !inputs.back()) return false;
  }
  auto dims = CommonDims(n.node, inputs);
  if (!dims) return false;
  s.common[static_cast<size_t>(n.outputs[0])] = Common{std::move(*dims), {}};
  return true;
}

// Treats the inputs of the model as batches. Returns the reason if one is not, or "".
std::string StartFromInputs(SampleFacts& s) {
  if (s.plan.inputs.empty()) return "the model has no inputs";
  for (size_t i = 0; i < s.plan.inputs.size(); ++i) {
    const graph::ValueInfo& input = s.plan.inputs[i];
    if (!input.shape || input.shape->empty() || input.shape->front().value)
      return StrCat("input '", input.name, "' has no open first axis");
    s.ranks[s.plan.input_slots[i]] = static_cast<int64_t>(input.shape->size());
  }
  return "";
}

// The first node that mixes samples; nullptr if there is none.
const PlanNode* FirstMixing(SampleFacts& s) {
  for (const PlanNode& n : s.plan.nodes) {
    const bool apart = n.subgraphs.empty() &&
                       ((n.node.domain.empty() && (MakesSizes(s, n) || MakesCommon(s, n))) ||
                        KeepsSamplesApart(s, n));
    if (!apart) return &n;
  }
  return nullptr;
}

// Whether a node that mixes samples treats axis 0 of a batch as a sequence, whose steps are not
// independent.
bool TreatsAsSequence(const SampleFacts& s, const PlanNode& n) {
  if (s.Rank(n, 0) <= 0) return false;
  const std::string& op = n.node.op_type;
  if (graph::Has(n.node, graph::Fact::kRecurrent)) return n.node.Int("layout", 0) == 0;
  if (op == "Softmax" || op == "LogSoftmax" || op == "CumSum") return true;
  std::vector<int64_t> axes;
  if (op == "Unsqueeze") return s.Numbers(n, "axes", 1, &axes);
  return op.starts_with("Reduce") && s.Numbers(n, "axes", 1, &axes);
}

}  // namespace

SampleJudgment JudgeSamples(const Plan& plan) {
  SampleFacts s{.plan = plan};
  if (std::string reason = StartFromInputs(s); !reason.empty())
    return {.reason = std::move(reason)};
  if (const PlanNode* n = FirstMixing(s))
    return {.reason = StrCat(n->node.name.empty() ? "" : "node ", n->node.DisplayName()),
            .first_axis_is_sequence = TreatsAsSequence(s, *n)};
  for (size_t i = 0; i < plan.output_slots.size(); ++i)
    if (s.ranks[plan.output_slots[i]] <= 0)
      return {.reason = StrCat("output '", plan.output_names[i], "' has no sample axis")};
  return {.independent = true};
}

Result<SampleJudgment> JudgeSamples(const graph::Model& model) {
  ASSIGN_OR_RETURN(const Plan plan, BuildPlan(model, {.fast_kernels = false}));
  return JudgeSamples(plan);
}

}  // namespace roundel::engine
