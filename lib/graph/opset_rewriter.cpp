#include "lib/graph/opset_rewriter.h"

#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/constant_nodes.h"
#include "lib/graph/match.h"

namespace roundel::graph {

std::string OpsetRewriter::FreshName(const std::string& base) {
  return UniqueName(base, &names_);
}

void OpsetRewriter::SetConstantInput(Node* node, size_t index, const std::string& what,
                                     Tensor value) {
  const std::string base = node->name.empty() ? node->output(0) : node->name;
  const std::string name = FreshName(StrCat(base, "_", what));
  if (is_function_) {
    Node constant{.op_type = "Constant", .outputs = {name}};
    constant.SetAttribute("value", std::move(value));
    graph_.InsertBefore(node, std::move(constant));
  } else {
    graph_.SetInitializer(name, std::move(value));
  }
  graph_.SetInput(node, index, name);
}

std::vector<int64_t> OpsetRewriter::TakeInts(Node* node, const std::string& name) {
  std::vector<int64_t> values = node->Ints(name);
  node->RemoveAttribute(name);
  return values;
}

std::optional<int64_t> OpsetRewriter::Rank(const std::string& value) const {
  const auto rank = RankOf(graph_, value);
  return rank || !outer_ ? rank : outer_->Rank(value);
}

std::optional<Shape> OpsetRewriter::StaticShape(const std::string& value) const {
  const auto shape = StaticShapeOf(graph_, value);
  return shape || !outer_ ? shape : outer_->StaticShape(value);
}

const Tensor* OpsetRewriter::Constant(const std::string& value) const {
  const Tensor* constant = graph_.Constant(value);
  return constant || !outer_ ? constant : outer_->Constant(value);
}

const Tensor* OpsetRewriter::Default(const std::string& value) const {
  if (const Tensor* constant = graph_.Constant(value)) return constant;
  if (const Tensor* initializer = graph_.FindInitializer(value)) return initializer;
  const bool hidden = graph_.IsInput(value) || graph_.Producer(value);
  return outer_ && !hidden ? outer_->Default(value) : nullptr;
}

DType OpsetRewriter::Type(const std::string& value) const {
  // Up the chain of nodes whose result has the type of their first input.
  std::string name = value;
  for (int steps = 0; steps < 1000; ++steps) {
    if (const ValueInfo* info = FindValueInfo(graph_, name);
        info && info->dtype != DType::kUndefined)
      return info->dtype;
    if (const Tensor* constant = graph_.Constant(name)) return constant->dtype();
    const Node* node = graph_.Producer(name);
    if (!node) return outer_ ? outer_->Type(name) : DType::kUndefined;
    if (node->Is("Cast")) return static_cast<DType>(node->Int("to", 0));
    static const std::vector<std::string> kOtherTypes = Split(
        "ArgMax ArgMin Shape Size Equal Greater Less GreaterOrEqual LessOrEqual And Or Not Xor "
        "NonZero "
        "IsNaN IsInf If Loop Scan OneHot ConstantOfShape Range QuantizeLinear EyeLike RandomNormal "
        "RandomUniform RandomNormalLike RandomUniformLike MatMulInteger ConvInteger QLinearConv "
        "QLinearMatMul DynamicQuantizeLinear",
        ' ');
    if (!node->domain.empty() || node->output(0) != name ||
        std::find(kOtherTypes.begin(), kOtherTypes.end(), node->op_type) != kOtherTypes.end())
      return DType::kUndefined;
    name = node->input(node->Is("Where") || node->Is("DequantizeLinear") ? 1 : 0);
  }
  return DType::kUndefined;
}

bool OpsetRewriter::IsRead(const std::string& value) const {
  return !value.empty() && (!graph_.Uses(value).empty() || graph_.IsOutput(value));
}

}  // namespace roundel::graph
