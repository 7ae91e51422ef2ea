// Operators of several operands, element by element. Each gradient is summed over the axes along which
// its operand was broadcast.

#include "lib/base/text.h"
#include "lib/grad/rules.h"

namespace roundel::grad {
namespace {

Status Add(Emitter& emit) {
  for (size_t i = 0; i < emit.node().inputs.size(); ++i)
    if (emit.wants(i)) emit.Add(i, emit.SumTo(emit.dy(), emit.input(i)));
  return OkStatus();
}

Status Sub(Emitter& emit) {
  if (emit.wants(0)) emit.Add(0, emit.SumTo(emit.dy(), emit.input(0)));
  if (emit.wants(1)) emit.Add(1, emit.Op("Neg", {emit.SumTo(emit.dy(), emit.input(1))}));
  return OkStatus();
}

Status Mul(Emitter& emit) {
  for (size_t i = 0; i < 2; ++i)
    if (emit.wants(i))
      emit.Add(i, emit.SumTo(emit.Op("Mul", {emit.dy(), emit.input(1 - i)}), emit.input(i)));
  return OkStatus();
}

// y = a / b: da = dy / b, db = -dy * y / b
Status Div(Emitter& emit) {
  const std::string share = emit.Op("Div", {emit.dy(), emit.input(1)});
  if (emit.wants(0)) emit.Add(0, emit.SumTo(share, emit.input(0)));
  if (emit.wants(1)) {
    const std::string sum = emit.SumTo(emit.Op("Mul", {share, emit.output()}), emit.input(1));
    emit.Add(1, emit.Op("Neg", {sum}));
  }
  return OkStatus();
}

// y = a^b: da = dy * b * a^(b - 1). The exponent is not trained.
Status Pow(Emitter& emit) {
  const graph::Graph& graph = emit.graph();
  const std::string &base = emit.input(0), &exponent = emit.input(1);
  const Tensor* constant = graph.Constant(exponent);
  const bool known = constant && constant->size() == 1;
  const float power = known ? constant->ToFloat().data<float>()[0] : 0;
  std::string slope;
  if (known && power == 2) {
    slope = emit.Op("Mul", {base, emit.Constant(2)});
  } else if (known) {
    slope =
        emit.Op("Mul", {emit.Op("Pow", {base, emit.Constant(power - 1)}), emit.Constant(power)});
  } else {
    const std::string less = emit.Op("Sub", {exponent, emit.Constant(1)});
    slope = emit.Op("Mul", {emit.Op("Pow", {base, less}), exponent});
  }
  emit.Add(0, emit.SumTo(emit.Op("Mul", {emit.dy(), slope}), base));
  return OkStatus();
}

Status Mean(Emitter& emit) {
  const auto share = 1.0f / static_cast<float>(emit.node().inputs.size());
  const std::string dy = emit.Op("Mul", {emit.dy(), emit.Constant(share)});
  for (size_t i = 0; i < emit.node().inputs.size(); ++i)
    if (emit.wants(i)) emit.Add(i, emit.SumTo(dy, emit.input(i)));
  return OkStatus();
}

Status Extremum(Emitter& emit) {
  std::vector<std::string> inputs = {emit.dy(), emit.output()};
  inputs.insert(inputs.end(), emit.node().inputs.begin(), emit.node().inputs.end());
  emit.AddAll(emit.Own(StrCat(emit.node().op_type, "Grad"), inputs, emit.wanted()));
  return OkStatus();
}

// Where a value decides, it is a condition: no gradient.
Status Where(Emitter& emit) {
  const std::string zero = emit.Constant(0), &condition = emit.input(0);
  if (emit.wants(1))
    emit.Add(1, emit.SumTo(emit.Op("Where", {condition, emit.dy(), zero}), emit.input(1)));
  if (emit.wants(2))
    emit.Add(2, emit.SumTo(emit.Op("Where", {condition, zero, emit.dy()}), emit.input(2)));
  return OkStatus();
}

// Broadcasting by attributes, before version 7 of the operator set.
std::string WhyNot(const graph::Model& model, const graph::Node& node) {
  return model.Opset() < 7 && node.Int("broadcast", 0) != 0
             ? StrCat(node.op_type, " broadcasts by an attribute, which has no gradient rule")
             : "";
}

std::string WhyNotPow(const graph::Model& model, const graph::Node& node) {
  const std::string why = WhyNot(model, node);
  if (!why.empty()) return why;
  const Tensor* exponent = model.graph->Constant(node.input(1));
  return exponent && !IsFloating(exponent->dtype()) && exponent->size() != 1
             ? "Pow has no gradient rule for exponents that are integers"
             : "";
}

}  // namespace

std::vector<RuleRow> ArithmeticRules() {
  return {
      {"Add", "", kAll, &Add, &WhyNot},
      {"Div", "", kAll, &Div, &WhyNot},
      {"Max", "", kAll, &Extremum},
      {"Mean", "", kAll, &Mean},
      {"Min", "", kAll, &Extremum},
      {"Mul", "", kAll, &Mul, &WhyNot},
      {"Pow", "", kFirst, &Pow, &WhyNotPow},
      {"Sub", "", kAll, &Sub, &WhyNot},
      {"Sum", "", kAll, &Add},
      {"Where", "", Inputs{6}, &Where},
  };
}

}  // namespace roundel::grad
