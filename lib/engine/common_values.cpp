#include "lib/engine/common_values.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "lib/graph/operators.h"

namespace roundel::engine {
namespace {

using graph::Node;
using Inputs = std::vector<std::optional<Common>>;
using Rule = std::optional<Sizes> (*)(const Node&, const Inputs&);

bool Given(const Inputs& inputs, size_t i) { return i < inputs.size() && inputs[i].has_value(); }

// Axes or sizes from an attribute or from the elements of an input.
std::optional<Sizes> Numbers(const Node& node, const char* attribute, const Inputs& inputs,
                             size_t i) {
  if (Given(inputs, i)) return inputs[i]->numbers;
  if (!node.FindAttribute(attribute)) return std::nullopt;
  return node.Ints(attribute);
}

// Converts axes to nonnegative ones of a rank; false if one is out of range.
bool Settle(int64_t rank, Sizes* axes) {
  for (int64_t& axis : *axes) {
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) return false;
  }
  return true;
}

std::optional<Sizes> SameShape(const Node&, const Inputs& inputs) { return inputs[0]->dims; }

std::optional<Sizes> Broadcast(const Node&, const Inputs& inputs) {
  Sizes dims;
  for (const auto& input : inputs) {
    if (!input) continue;
    const Sizes& other = input->dims;
    if (other.size() > dims.size()) dims.insert(dims.begin(), other.size() - dims.size(), 1);
    for (size_t i = 0; i < other.size(); ++i) {
      int64_t& dim = dims[dims.size() - other.size() + i];
      if (dim == 1 || (dim == kOther && other[i] > 1)) dim = other[i];
    }
  }
  return dims;
}

std::optional<Sizes> Expand(const Node& node, const Inputs& inputs) {
  if (!Given(inputs, 1) || !inputs[1]->numbers) return std::nullopt;
  return Broadcast(node, {inputs[0], Common{*inputs[1]->numbers, {}}});
}

std::optional<Sizes> Filled(const Node&, const Inputs& inputs) { return inputs[0]->numbers; }
std::optional<Sizes> Range(const Node&, const Inputs&) { return Sizes{kOther}; }

std::optional<Sizes> Reshape(const Node& node, const Inputs& inputs) {
  if (!Given(inputs, 1) || !inputs[1]->numbers) return std::nullopt;
  Sizes dims = *inputs[1]->numbers;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && node.Int("allowzero", 0) == 0) {
      if (i >= inputs[0]->dims.size()) return std::nullopt;
      dims[i] = inputs[0]->dims[i];
    }
    if (dims[i] == -1) dims[i] = kOther;
  }
  return dims;
}

std::optional<Sizes> Unsqueeze(const Node& node, const Inputs& inputs) {
  auto axes = Numbers(node, "axes", inputs, 1);
  if (!axes || !Settle(std::ssize(inputs[0]->dims) + std::ssize(*axes), &*axes))
    return std::nullopt;
  std::sort(axes->begin(), axes->end());
  Sizes dims = inputs[0]->dims;
  for (const int64_t axis : *axes) {
    if (axis > std::ssize(dims)) return std::nullopt;
    dims.insert(dims.begin() + axis, 1);
  }
  return dims;
}

std::optional<Sizes> WithoutAxes(const Node& node, const Inputs& inputs, bool keep) {
  auto axes = Numbers(node, "axes", inputs, 1);
  if (!axes || axes->empty() || !Settle(std::ssize(inputs[0]->dims), &*axes)) return std::nullopt;
  Sizes dims;
  for (int64_t i = 0; i < std::ssize(inputs[0]->dims); ++i) {
    const bool named = std::find(axes->begin(), axes->end(), i) != axes->end();
    if (!named) dims.push_back(inputs[0]->dims[static_cast<size_t>(i)]);
    if (named && keep) dims.push_back(1);
  }
  return dims;
}
std::optional<Sizes> Squeeze(const Node& node, const Inputs& inputs) {
  return WithoutAxes(node, inputs, false);
}
std::optional<Sizes> Reduce(const Node& node, const Inputs& inputs) {
  return WithoutAxes(node, inputs, node.Int("keepdims", 1) != 0);
}

std::optional<Sizes> Transpose(const Node& node, const Inputs& inputs) {
  const Sizes& from = inputs[0]->dims;
  Sizes order = node.Ints("perm"), dims;
  if (order.empty()) return Sizes(from.rbegin(), from.rend());
  if (order.size() != from.size() || !Settle(std::ssize(from), &order)) return std::nullopt;
  for (const int64_t axis : order) dims.push_back(from[static_cast<size_t>(axis)]);
  return dims;
}

std::optional<Sizes> Concat(const Node& node, const Inputs& inputs) {
  Sizes dims = inputs[0]->dims, axis{node.Int("axis", 0)};
  for (const auto& input : inputs)
    if (!input || input->dims.size() != dims.size()) return std::nullopt;
  if (!Settle(std::ssize(dims), &axis)) return std::nullopt;
  dims[static_cast<size_t>(axis[0])] = kOther;
  return dims;
}

std::optional<Sizes> Gather(const Node& node, const Inputs& inputs) {
  if (!Given(inputs, 1)) return std::nullopt;
  Sizes dims = inputs[0]->dims, axis{node.Int("axis", 0)};
  if (!Settle(std::ssize(dims), &axis)) return std::nullopt;
  const auto at = dims.erase(dims.begin() + axis[0]);
  dims.insert(at, inputs[1]->dims.begin(), inputs[1]->dims.end());
  return dims;
}

// Slice, Pad and Tile keep the rank.
std::optional<Sizes> Resized(const Node& node, const Inputs& inputs) {
  Sizes dims = inputs[0]->dims;
  auto axes = Numbers(node, "axes", inputs, 3);
  if (node.op_type != "Slice" || !axes || !Settle(std::ssize(dims), &*axes))
    return Sizes(dims.size(), kOther);
  for (const int64_t axis : *axes) dims[static_cast<size_t>(axis)] = kOther;
  return dims;
}

std::optional<Sizes> MatMul(const Node& node, const Inputs& inputs) {
  if (!Given(inputs, 1) || inputs[0]->dims.size() < 2 || inputs[1]->dims.size() < 2)
    return std::nullopt;
  const Sizes &a = inputs[0]->dims, &b = inputs[1]->dims;
  auto dims = Broadcast(
      node, {Common{Sizes(a.begin(), a.end() - 2), {}}, Common{Sizes(b.begin(), b.end() - 2), {}}});
  dims->push_back(a[a.size() - 2]);
  dims->push_back(b.back());
  return dims;
}

const std::map<std::string, Rule>& Rules() {
  static const std::map<std::string, Rule> rules = [] {
    std::map<std::string, Rule> map{
        {"Concat", Concat},       {"ConstantOfShape", Filled}, {"Expand", Expand},
        {"Gather", Gather},       {"MatMul", MatMul},          {"Pad", Resized},
        {"Range", Range},         {"ReduceMax", Reduce},       {"ReduceMean", Reduce},
        {"ReduceMin", Reduce},    {"ReduceSum", Reduce},       {"Reshape", Reshape},
        {"Slice", Resized},       {"Squeeze", Squeeze},        {"Tile", Resized},
        {"Transpose", Transpose}, {"Unsqueeze", Unsqueeze}};
    for (const char* op : {"CumSum", "EyeLike", "LayerNormalization", "ScatterElements",
                           "ScatterND", "Softmax", "Trilu"})
      map[op] = SameShape;
    return map;
  }();
  return rules;
}

}  // namespace

std::optional<Sizes> CommonDims(const Node& node, const Inputs& inputs) {
  const auto rule = Rules().find(node.op_type);
  const Rule compute = graph::Has(node, graph::Fact::kPointwise)    ? SameShape
                       : graph::Has(node, graph::Fact::kBroadcasts) ? Broadcast
                       : rule != Rules().end()                      ? rule->second
                                                                    : Rule();
  if (!compute || inputs.empty() || !inputs[0]) return std::nullopt;
  auto dims = compute(node, inputs);
  if (dims && HaveSamples(*dims)) return std::nullopt;
  return dims;
}

}  // namespace roundel::engine
