#include "lib/targets/bias_points.h"

#include <map>

#include "lib/base/text.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {

using quant::Granularity;
using quant::Role;

void BiasPoints::AddUse(const graph::Node& layer) {
  constexpr int64_t kRank = 2;  // used only for MatMul, which has no bias
  uses_.push_back({layer.input(2), layer.input(0), layer.input(1),
                   graph::FindLayerSlots(p_.g, layer, kRank)->bias_factor, &layer});
}

std::string BiasPoints::Problem(const Use& use) const {
  const Tensor* bias = p_.g.Constant(use.value);
  const Tensor* weight = p_.g.Constant(use.weight);
  if (!bias) return "not constant";
  if (!activations_.contains(use.input)) return "the layer's input is not quantized";
  const QuantPoint* point = weights_.Find(use.weight);
  if (!point) return "the weight is not quantized";
  if (point->granularity == Granularity::kBlock) return "the weight is quantized in blocks";
  if (point->grid.is_float() || p_.GroupGrid(p_.groups.Number(use.input)).is_float())
    return "its layer computes in float";
  if (!(use.factor > 0 && use.factor < 1e30)) return "alpha / beta is not positive";
  if (bias->rank() != 1) return StrCat("has shape ", ShapeString(bias->shape()));
  const int64_t channels =
      point->granularity == Granularity::kChannel ? weight->dim(point->axis) : 1;
  if (channels == 0 || bias->dim(0) % channels != 0)
    return StrCat(bias->dim(0), " values for ", channels, " channels");
  return "";
}

std::string BiasPoints::SharingProblem(const std::vector<const Use*>& uses) const {
  const Use& use = *uses.front();
  for (const Use* other : uses)
    if (other->input != use.input || other->weight != use.weight || other->factor != use.factor)
      return "shared by nodes whose scales differ";
  return weights_.Find(use.value) ? "also used as an operand" : "";
}

void BiasPoints::EmitPoint(const Use& use) {
  p_.placement.points.push_back({.value = use.value,
                                 .role = Role::kBias,
                                 .grid = {.bits = 32, .is_signed = true, .symmetric = true},
                                 .granularity = weights_.Find(use.weight)->granularity,
                                 .bias_input = use.input,
                                 .bias_weight = use.weight,
                                 .bias_factor = use.factor});
}

void BiasPoints::Emit() {
  if (!p_.profile.quantize_bias) return;
  for (const QuantPoint& point : p_.placement.points)
    if (point.role == Role::kActivation) activations_.insert(point.value);
  std::map<std::string, std::vector<const Use*>> by_value;
  std::vector<std::string> order;
  for (const Use& use : uses_) {
    auto& uses = by_value[use.value];
    if (uses.empty()) order.push_back(use.value);
    uses.push_back(&use);
    if (Problem(use).empty())
      p_.AddUse(*use.layer, 2, StrCat("bias\n", use.input, "\n", use.weight, "\n", use.factor));
  }
  for (const std::string& value : order) {
    std::string problem = Problem(*by_value[value].front());
    if (problem.empty()) problem = SharingProblem(by_value[value]);
    if (problem.empty())
      EmitPoint(*by_value[value].front());
    else
      p_.placement.float_nodes.push_back({value, "bias", problem});
  }
}

}  // namespace roundel::target
