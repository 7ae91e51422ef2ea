// If and Loop.

#include "lib/ops/kernels/control_flow.h"

#include <limits>

#include "lib/base/interrupt.h"
#include "lib/base/limits.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/stacker.h"

namespace roundel::engine {

Result<std::vector<graph::ValueInfo>> SubgraphOutputs(const OpContext& context,
                                                      const std::string& attribute) {
  const graph::Attribute* found = context.node().FindAttribute(attribute);
  const auto* graph = found ? std::get_if<graph::GraphPtr>(&found->value) : nullptr;
  if (!graph) return ModelError(StrCat("there is no sub-graph '", attribute, "'"));
  return (*graph)->outputs;
}

Result<std::vector<Datum>> RunBody(OpContext& context, const std::string& attribute,
                                   const std::vector<Datum>& inputs, size_t count) {
  if (Interrupted()) return InterruptedError();
  ASSIGN_OR_RETURN(std::vector<Datum> results, context.RunSubgraph(attribute, inputs));
  if (results.size() == count) return results;
  return ModelError(
      StrCat("sub-graph '", attribute, "' gives ", results.size(), " outputs, not ", count));
}

namespace {

Result<bool> Condition(const Datum& datum) {
  if (!datum.is_tensor() || datum.tensor.dtype() != DType::kBool || datum.tensor.size() != 1)
    return ModelError("the condition is not a single bool");
  return datum.tensor.ToInt64s()[0] != 0;
}

Status If(OpContext& context) {
  ASSIGN_OR_RETURN(const bool condition, Condition(context.datum(0)));
  ASSIGN_OR_RETURN(
      std::vector<Datum> results,
      RunBody(context, condition ? "then_branch" : "else_branch", {}, context.output_count()));
  for (size_t i = 0; i < results.size(); ++i) context.SetDatum(i, std::move(results[i]));
  return OkStatus();
}

// ---- Loop: inputs are trip count, condition and N carried values. The body takes the iteration
// number, the condition and the N values; it returns the condition, the N values, and the values
// that are collected over the iterations.

constexpr size_t kFirstCarried = 2;

struct LoopState {
  int64_t trips = std::numeric_limits<int64_t>::max();
  bool go_on = true;
  std::vector<Datum> carried;
  std::vector<Stacker> collected;
};

Result<LoopState> StartLoop(const OpContext& context, size_t body_outputs) {
  LoopState loop;
  if (context.input(0)) {
    ASSIGN_OR_RETURN(loop.trips, IntegerScalar(context, 0));
  }
  if (context.input(1)) {
    ASSIGN_OR_RETURN(loop.go_on, Condition(context.datum(1)));
  }
  for (size_t i = kFirstCarried; i < context.input_count(); ++i)
    loop.carried.push_back(context.datum(i));
  if (body_outputs < 1 + loop.carried.size())
    return ModelError(StrCat("the body gives ", body_outputs, " outputs, at least ",
                             1 + loop.carried.size(), " are needed"));
  loop.collected.resize(body_outputs - 1 - loop.carried.size());
  return loop;
}

Status Iterate(OpContext& context, int64_t iteration, LoopState* loop) {
  std::vector<Datum> inputs = {Tensor::Scalar<int64_t>(iteration),
                               Tensor::Scalar<bool>(loop->go_on)};
  inputs.insert(inputs.end(), loop->carried.begin(), loop->carried.end());
  const size_t carried = loop->carried.size();
  ASSIGN_OR_RETURN(std::vector<Datum> results,
                   RunBody(context, "body", inputs, 1 + carried + loop->collected.size()));
  ASSIGN_OR_RETURN(loop->go_on, Condition(results[0]));
  for (size_t i = 0; i < carried; ++i) loop->carried[i] = std::move(results[1 + i]);
  for (size_t i = 0; i < loop->collected.size(); ++i)
    RETURN_IF_ERROR(loop->collected[i].Append(results[1 + carried + i]));
  return OkStatus();
}

Status Loop(OpContext& context) {
  ASSIGN_OR_RETURN(const std::vector<graph::ValueInfo> declared, SubgraphOutputs(context, "body"));
  ASSIGN_OR_RETURN(LoopState loop, StartLoop(context, declared.size()));
  for (int64_t i = 0; i < loop.trips && loop.go_on; ++i) {
    if (i == LoopLimit())
      return ModelError(StrCat("the loop does not end: it has run ", i,
                               " times (the limit can be raised with --max-iterations)"));
    RETURN_IF_ERROR(Iterate(context, i, &loop));
  }
  const size_t carried = loop.carried.size();
  for (size_t i = 0; i < carried; ++i) context.SetDatum(i, std::move(loop.carried[i]));
  for (size_t i = 0; i < loop.collected.size(); ++i) {
    ASSIGN_OR_RETURN(Tensor all, loop.collected[i].Finish(0, false, declared[1 + carried + i]));
    context.SetOutput(carried + i, std::move(all));
  }
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> ControlFlowRows() {
  return {
      {"If", "", 1, kLatest, &If, true},
      {"Loop", "", 1, kLatest, &Loop, true},
  };
}

}  // namespace roundel::engine
