#include "lib/graph/opset_rewriter.h"

#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/constant_nodes.h"
#include "lib/graph/match.h"

namespace roundel::graph {

std::string OpsetRewriter::FreshName(const std::string& base) { return UniqueName(base, &names_); }

void OpsetRewriter::SetConstantInput(Node* node, size_t index, const std::string& what,
                                     Tensor value) {
  const std::string name = FreshName(StrCat(node->NameOrOutput(), "_", what));
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
  const auto known = types_.find(value);
  return known == types_.end() ? DType::kUndefined : known->second;
}

bool OpsetRewriter::IsRead(const std::string& value) const {
  return !value.empty() && (!graph_.Uses(value).empty() || graph_.IsOutput(value));
}

}  // namespace roundel::graph
