// FakeQuant: the straight-through estimator for the value, LSQ and LSQ+ for scale and zero point
// (lib/ops/kernels/fake_quant.cpp).

#include "lib/grad/rules.h"

namespace roundel::grad {
namespace {

Status FakeQuant(Emitter& emit) {
  emit.AddAll(emit.Own("FakeQuantGrad", {emit.dy(), emit.input(0), emit.input(1), emit.input(2)},
                       emit.wanted()));
  return OkStatus();
}

}  // namespace

std::vector<RuleRow> QuantizerRules() {
  return {{"FakeQuant", "roundel", kFirstThree, &FakeQuant}};
}

}  // namespace roundel::grad
