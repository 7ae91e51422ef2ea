// Softmax, and normalizations with and without a preceding sum.

#include "lib/base/text.h"
#include "lib/grad/rules.h"

namespace roundel::grad {
namespace {

constexpr const char* kContrib = "com.microsoft";

Status Softmax(Emitter& emit) {
  emit.Add(0, emit.Own(StrCat(emit.node().op_type, "Grad"), {emit.dy(), emit.output()}));
  return OkStatus();
}

// Inputs x, gamma, beta.
Status Norm(Emitter& emit, const std::string& type) {
  emit.AddAll(emit.Own(type, {emit.dy(), emit.input(0), emit.input(1), emit.input(2)},
                       {emit.wants(0), emit.wants(1), emit.wants(2)}));
  return OkStatus();
}
Status LayerNorm(Emitter& emit) { return Norm(emit, "LayerNormGrad"); }
Status InstanceNorm(Emitter& emit) { return Norm(emit, "InstanceNormGrad"); }
Status GroupNorm(Emitter& emit) { return Norm(emit, "GroupNormGrad"); }

// Inputs x, gamma.
Status RmsNorm(Emitter& emit) {
  emit.AddAll(emit.Own("RmsNormGrad", {emit.dy(), emit.input(0), emit.input(1)},
                       {emit.wants(0), emit.wants(1)}));
  return OkStatus();
}

// y = norm(s), s = x + skip + bias, which is result 3, too. Inputs x, skip, gamma, then beta unless
// simplified, then bias.
Status SkipNorm(Emitter& emit) {
  const bool centered = emit.node().op_type == "SkipLayerNormalization";
  const size_t bias = centered ? 4 : 3;
  std::string sum = emit.output(3);
  if (sum.empty()) {
    sum = emit.Op("Add", {emit.input(0), emit.input(1)});
    if (!emit.input(bias).empty()) sum = emit.Op("Add", {sum, emit.input(bias)});
  }
  std::string ds = emit.dy(3);
  if (!emit.dy(0).empty()) {
    const std::vector<std::string> gradients =
        emit.Own(centered ? "LayerNormGrad" : "RmsNormGrad",
                 {emit.dy(0), sum, emit.input(2), centered ? emit.input(3) : ""},
                 {true, emit.wants(2), centered && emit.wants(3)},
                 {{"axis", int64_t{-1}}, {"epsilon", emit.node().Float("epsilon", 1e-12f)}});
    if (emit.wants(2)) emit.Add(2, gradients[1]);
    if (centered && emit.wants(3)) emit.Add(3, gradients[2]);
    ds = ds.empty() ? gradients[0] : emit.Op("Add", {ds, gradients[0]});
  }
  if (emit.wants(0)) emit.Add(0, ds);
  if (emit.wants(1)) emit.Add(1, emit.SumTo(ds, emit.input(1)));
  if (emit.wants(bias)) emit.Add(bias, emit.SumTo(ds, emit.input(bias)));
  return OkStatus();
}

}  // namespace

std::vector<RuleRow> NormalizationRules() {
  constexpr uint32_t kYAndSum = 9;
  return {
      {"GroupNormalization", "", kFirstThree, &GroupNorm},
      {"InstanceNormalization", "", kFirstThree, &InstanceNorm},
      {"LayerNormalization", "", kFirstThree, &LayerNorm},
      {"LogSoftmax", "", kFirst, &Softmax},
      {"RMSNormalization", "", kFirstTwo, &RmsNorm},
      {"SimplifiedLayerNormalization", "", kFirstTwo, &RmsNorm},
      {"SkipLayerNormalization", kContrib, kAll, &SkipNorm, nullptr, kYAndSum},
      {"SkipSimplifiedLayerNormalization", kContrib, kAll, &SkipNorm, nullptr, kYAndSum},
      {"Softmax", "", kFirst, &Softmax},
  };
}

}  // namespace roundel::grad
