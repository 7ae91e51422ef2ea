// Functions of one number: one operator NameGrad for each, which reads the forward node's input or
// its result (lib/ops/kernels/gradient_unary.cpp).

#include "lib/base/text.h"
#include "lib/grad/rules.h"

namespace roundel::grad {
namespace {

Status FromInput(Emitter& emit) {
  emit.Add(0, emit.Own(StrCat(emit.node().op_type, "Grad"), {emit.dy(), emit.input(0)}));
  return OkStatus();
}

Status FromResult(Emitter& emit) {
  emit.Add(0, emit.Own(StrCat(emit.node().op_type, "Grad"), {emit.dy(), emit.output()}));
  return OkStatus();
}

// The bounds of Clip are attributes or inputs.
Status Clip(Emitter& emit) {
  emit.Add(0, emit.Own("ClipGrad", {emit.dy(), emit.input(0), emit.input(1), emit.input(2)}));
  return OkStatus();
}

// Straight through: the step of the rounding has derivative 1.
Status Rounding(Emitter& emit) {
  emit.Add(0, emit.dy());
  return OkStatus();
}

Status Negation(Emitter& emit) {
  emit.Add(0, emit.Op("Neg", {emit.dy()}));
  return OkStatus();
}

// gelu(x + bias), where the bias is optional in FastGelu.
Status BiasedGelu(Emitter& emit) {
  const bool biased = !emit.input(1).empty();
  const std::string sum = biased ? emit.Op("Add", {emit.input(0), emit.input(1)}) : emit.input(0);
  const std::string type = emit.node().op_type == "BiasGelu" ? "GeluGrad" : "FastGeluGrad";
  const std::string dx = emit.Own(type, {emit.dy(), sum});
  if (emit.wants(0)) emit.Add(0, dx);
  if (emit.wants(1)) emit.Add(1, emit.SumTo(dx, emit.input(1)));
  return OkStatus();
}

Status PRelu(Emitter& emit) {
  emit.AddAll(emit.Own("PReluGrad", {emit.dy(), emit.input(0), emit.input(1)}, emit.wanted()));
  return OkStatus();
}

}  // namespace

std::vector<RuleRow> ActivationRules() {
  std::vector<RuleRow> rows = {
      {"BiasGelu", "com.microsoft", kFirstTwo, &BiasedGelu},
      {"Ceil", "", kFirst, &Rounding},
      {"Clip", "", kFirst, &Clip},
      {"FastGelu", "com.microsoft", kFirstTwo, &BiasedGelu},
      {"Floor", "", kFirst, &Rounding},
      {"Gelu", "com.microsoft", kFirst, &FromInput},
      {"Neg", "", kFirst, &Negation},
      {"PRelu", "", kFirstTwo, &PRelu},
      {"QuickGelu", "com.microsoft", kFirst, &FromInput},
      {"Round", "", kFirst, &Rounding},
  };
  for (const char* op :
       {"Abs", "Acos",           "Acosh", "Asin", "Asinh", "Atan",        "Atanh",     "Celu",
        "Cos", "Cosh",           "Elu",   "Erf",  "Gelu",  "HardSigmoid", "HardSwish", "LeakyRelu",
        "Log", "Mish",           "Selu",  "Sin",  "Sinh",  "Softplus",    "Softsign",  "Swish",
        "Tan", "ThresholdedRelu"})
    rows.push_back({op, "", kFirst, &FromInput});
  for (const char* op : {"Exp", "Reciprocal", "Relu", "Sigmoid", "Sqrt", "Tanh"})
    rows.push_back({op, "", kFirst, &FromResult});
  return rows;
}

}  // namespace roundel::grad
