// Element-wise nodes as post-ops.

#include <cmath>
#include <limits>

#include "lib/engine/fusion.h"

namespace roundel::engine {
const Tensor* ConstantInput(const Plan& plan, const PlanNode& node, size_t i) {
  if (i >= node.inputs.size() || node.inputs[i] == kNoSlot) return nullptr;
  const std::optional<Tensor>& constant = plan.slots[node.inputs[i]].constant;
  return constant ? &*constant : nullptr;
}

const Tensor* FloatConstant(const Plan& plan, const PlanNode& node, size_t i) {
  const Tensor* constant = ConstantInput(plan, node, i);
  return constant && constant->dtype() == DType::kFloat ? constant : nullptr;
}

namespace {

// Bound `i` of a Clip: an attribute below opset 11, since then an input, which must be constant.
bool ClipBound(const Plan& plan, const PlanNode& node, size_t i, const char* attribute,
               float* bound) {
  if (node.opset < 11) {
    *bound = node.node.Float(attribute, *bound);
    return true;
  }
  if (i >= node.inputs.size() || node.inputs[i] == kNoSlot) return true;
  const Tensor* value = ConstantInput(plan, node, i);
  if (!value || value->dtype() != DType::kFloat || value->size() != 1) return false;
  *bound = *value->data<float>();
  return true;
}

std::optional<ElementOps> ScalarArithmetic(const Plan& plan, const PlanNode& node) {
  if (node.opset < 7 || node.inputs.size() != 2) return std::nullopt;
  const size_t side = ConstantInput(plan, node, 0) ? 0 : 1;
  const Tensor* constant = ConstantInput(plan, node, side);
  if (!constant || constant->dtype() != DType::kFloat || constant->size() != 1) return std::nullopt;
  const float c = *constant->data<float>();
  ElementOps element{.input = 1 - side, .min_rank = constant->rank()};
  const std::string& op = node.node.op_type;
  if (op == "Add") {
    element.ops = {{PostOpKind::kLinear, 1, c}};
  } else if (op == "Mul") {
    element.ops = {{PostOpKind::kLinear, c, 0}};
  } else if (op == "Sub") {
    element.ops = {{PostOpKind::kLinear, side == 1 ? 1.0f : -1.0f, side == 1 ? -c : c}};
  } else if (op == "Div" && side == 1 && std::isfinite(1 / c)) {
    element.ops = {{PostOpKind::kLinear, 1 / c, 0}};
  } else {
    return std::nullopt;
  }
  return element;
}

}  // namespace

std::optional<float> ScalarOperand(const Plan& plan, const PlanNode& node, const char* op,
                                   size_t input) {
  if (!node.node.Is(op) || node.opset < 7 || node.inputs.size() != 2) return std::nullopt;
  const Tensor* constant = ConstantInput(plan, node, 1 - input);
  if (!constant || constant->dtype() != DType::kFloat || constant->size() != 1 ||
      constant->rank() > 1)
    return std::nullopt;
  return *constant->data<float>();
}

std::optional<ElementOps> AsElementOps(const Plan& plan, const PlanNode& node) {
  const graph::Node& n = node.node;
  if (!n.domain.empty() || node.inputs.empty() || node.inputs[0] == kNoSlot) return std::nullopt;
  const std::string& op = n.op_type;
  const auto one = [](PostOpKind kind, float alpha = 0, float beta = 0) {
    return ElementOps{.ops = {{kind, alpha, beta}}};
  };
  if (op == "Relu") return one(PostOpKind::kRelu, 0);
  if (op == "LeakyRelu") return one(PostOpKind::kRelu, n.Float("alpha", 0.01f));
  if (op == "Sigmoid") return one(PostOpKind::kSigmoid);
  if (op == "Tanh") return one(PostOpKind::kTanh);
  if (op == "Elu") return one(PostOpKind::kElu, n.Float("alpha", 1));
  if (op == "HardSwish") return one(PostOpKind::kHardSwish);
  if (op == "Exp") return one(PostOpKind::kExp);
  if (op == "Erf") return one(PostOpKind::kErf);
  if (op == "Abs") return one(PostOpKind::kAbs);
  if (op == "Sqrt") return one(PostOpKind::kSqrt);
  if (op == "Neg") return one(PostOpKind::kLinear, -1, 0);
  if (op == "Gelu" && n.String("approximate", "none") == "none") return one(PostOpKind::kGelu);
  if (op == "HardSigmoid")
    return ElementOps{.ops = {{PostOpKind::kLinear, n.Float("alpha", 0.2f), n.Float("beta", 0.5f)},
                              {PostOpKind::kClip, 0, 1}}};
  if (op == "Clip") {
    float low = -std::numeric_limits<float>::max(), high = std::numeric_limits<float>::max();
    if (!ClipBound(plan, node, 1, "min", &low) || !ClipBound(plan, node, 2, "max", &high))
      return std::nullopt;
    // With min > max the specification requires max everywhere: left to the plain kernel.
    if (!(low <= high)) return std::nullopt;
    return one(PostOpKind::kClip, low, high);
  }
  return ScalarArithmetic(plan, node);
}

}  // namespace roundel::engine
