// Reductions.

#include "lib/base/text.h"
#include "lib/grad/rules.h"

namespace roundel::grad {
namespace {

std::string Spread(Emitter& emit, const std::string& type, const std::string& dy) {
  return emit.Own(type, {dy, emit.input(0), emit.input(1)});
}

Status Reduce(Emitter& emit) {
  emit.Add(0, Spread(emit, StrCat(emit.node().op_type, "Grad"), emit.dy()));
  return OkStatus();
}

// y = sum x^2: dx = 2 x dy
Status SumSquare(Emitter& emit) {
  const std::string dy = emit.Op("Mul", {emit.dy(), emit.Constant(2)});
  emit.Add(0, emit.Op("Mul", {emit.input(0), Spread(emit, "ReduceSumGrad", dy)}));
  return OkStatus();
}

// y = sqrt(sum x^2): dx = x dy / y
Status L2(Emitter& emit) {
  const std::string dy = emit.Op("Div", {emit.dy(), emit.output()});
  emit.Add(0, emit.Op("Mul", {emit.input(0), Spread(emit, "ReduceSumGrad", dy)}));
  return OkStatus();
}

// y = sum |x|
Status L1(Emitter& emit) {
  emit.Add(0, emit.Op("Mul", {emit.Op("Sign", {emit.input(0)}),
                              Spread(emit, "ReduceSumGrad", emit.dy())}));
  return OkStatus();
}

}  // namespace

std::vector<RuleRow> ReductionRules() {
  return {
      {"ReduceL1", "", kFirst, &L1},
      {"ReduceL2", "", kFirst, &L2},
      {"ReduceMax", "", kFirst, &Reduce},
      {"ReduceMean", "", kFirst, &Reduce},
      {"ReduceMin", "", kFirst, &Reduce},
      {"ReduceSum", "", kFirst, &Reduce},
      {"ReduceSumSquare", "", kFirst, &SumSquare},
  };
}

}  // namespace roundel::grad
