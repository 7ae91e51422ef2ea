#include "lib/graph/match.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "lib/base/text.h"
#include "lib/graph/layer.h"

namespace roundel::graph {
namespace {

const ValueInfo* FindIn(const std::vector<ValueInfo>& infos, const std::string& name) {
  const auto it = std::find_if(infos.begin(), infos.end(),
                               [&](const ValueInfo& info) { return info.name == name; });
  return it == infos.end() ? nullptr : &*it;
}

std::optional<double> ScalarConstant(const Graph& graph, const std::string& name) {
  const Tensor* constant = graph.Constant(name);
  if (!constant || constant->size() != 1 ||
      !(IsFloating(constant->dtype()) || IsInteger(constant->dtype())))
    return std::nullopt;
  return static_cast<double>(constant->ToFloat().data<float>()[0]);
}

}  // namespace

const ValueInfo* FindValueInfo(const Graph& graph, const std::string& value) {
  if (const ValueInfo* info = FindIn(graph.inputs, value)) return info;
  if (const ValueInfo* info = FindIn(graph.outputs, value)) return info;
  return FindIn(graph.value_info, value);
}

void ForgetValue(Graph* graph, const std::string& value) {
  std::erase_if(graph->value_info, [&](const ValueInfo& info) { return info.name == value; });
}

std::optional<Shape> StaticShapeOf(const Graph& graph, const std::string& value) {
  const ValueInfo* info = FindValueInfo(graph, value);
  if (!info || !info->shape) return std::nullopt;
  Shape shape;
  for (const Dim& dim : *info->shape) {
    if (!dim.value || *dim.value < 0) return std::nullopt;
    shape.push_back(*dim.value);
  }
  return shape;
}

std::optional<ConstantOperand> FindConstantOperand(const Graph& graph, const Node& node) {
  if (node.inputs.size() != 2) return std::nullopt;
  const Tensor* first = graph.Constant(node.inputs[0]);
  const Tensor* second = graph.Constant(node.inputs[1]);
  if (!first == !second) return std::nullopt;
  if (first) return ConstantOperand{first, 0, 1};
  return ConstantOperand{second, 1, 0};
}

bool PadFacts::PadsAxis(int64_t axis) const {
  for (size_t i = 0; i < begin.size(); ++i) {
    const int64_t this_axis = axes.empty() ? static_cast<int64_t>(i) : axes[i];
    if (this_axis == axis && (begin[i] != 0 || end[i] != 0)) return true;
  }
  return false;
}

std::optional<PadFacts> ReadPad(const Graph& graph, const Node& node, int64_t opset) {
  PadFacts pad;
  pad.mode = node.String("mode", "constant");
  std::vector<int64_t> amounts;
  if (opset < 11) {
    amounts = node.Ints(opset < 2 ? "paddings" : "pads");
    pad.value = node.Float("value", 0);
  } else {
    const Tensor* pads = graph.Constant(node.input(1));
    if (!pads || !IsInteger(pads->dtype())) return std::nullopt;
    amounts = pads->ToInt64s();
    if (!node.input(2).empty()) {
      const auto value = ScalarConstant(graph, node.input(2));
      if (!value) return std::nullopt;
      pad.value = *value;
    }
    if (!node.input(3).empty()) {
      const Tensor* axes = graph.Constant(node.input(3));
      const auto rank = RankOf(graph, node.input(0));
      if (!axes || !IsInteger(axes->dtype())) return std::nullopt;
      pad.axes = axes->ToInt64s();
      for (int64_t& axis : pad.axes) {
        if (axis < 0 && !rank) return std::nullopt;
        if (axis < 0) axis += *rank;
      }
    }
  }
  const size_t half = amounts.size() / 2;
  if (amounts.size() % 2 != 0 || (!pad.axes.empty() && pad.axes.size() != half))
    return std::nullopt;
  pad.begin.assign(amounts.begin(), amounts.begin() + static_cast<int64_t>(half));
  pad.end.assign(amounts.begin() + static_cast<int64_t>(half), amounts.end());
  return pad;
}

void SetPadValue(Graph* graph, Node* node, int64_t opset, DType type, double value) {
  if (opset < 11) {
    node->SetAttribute("value", static_cast<float>(value));
    return;
  }
  Tensor constant = Tensor::Scalar(static_cast<float>(value)).FromFloatTo(type);
  if (!node->input(2).empty()) {
    ReplaceConstant(graph, node, 2, std::move(constant));
    return;
  }
  const std::string name = graph->FreshName(node->output(0) + "_pad_value");
  graph->SetInitializer(name, std::move(constant));
  graph->SetInput(node, 2, name);
}

std::optional<ClipBounds> ReadClip(const Graph& graph, const Node& node) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  ClipBounds bounds{-kInfinity, kInfinity};
  // Up to opset 10 attributes, from 11 on inputs; a node has only one of the two forms.
  if (node.FindAttribute("min")) bounds.low = node.Float("min", 0);
  if (node.FindAttribute("max")) bounds.high = node.Float("max", 0);
  for (size_t i = 1; i <= 2; ++i) {
    if (node.input(i).empty()) continue;
    const auto bound = ScalarConstant(graph, node.input(i));
    if (!bound) return std::nullopt;
    (i == 1 ? bounds.low : bounds.high) = *bound;
  }
  return bounds;
}

std::optional<std::vector<int64_t>> ReadAxes(const Graph& graph, const Node& node) {
  if (node.FindAttribute("axes")) return node.Ints("axes");
  const Tensor* axes = graph.Constant(node.input(1));
  if (!axes || !IsInteger(axes->dtype())) return std::nullopt;
  return axes->ToInt64s();
}

bool HasOnlySpatialAxes(const Graph& graph, const Node& node) {
  const auto axes = ReadAxes(graph, node);
  if (!axes || axes->empty()) return false;
  const auto rank = RankOf(graph, node.input(0));
  return std::all_of(axes->begin(), axes->end(), [&](int64_t axis) {
    if (axis < 0 && rank) axis += *rank;
    return axis >= 2;
  });
}

std::optional<ConstantOperand> FindChannelBound(const Graph& graph, const Node& node) {
  const auto operand = FindConstantOperand(graph, node);
  if (!node.Is("Min") || !operand || !IsFloating(operand->constant->dtype())) return std::nullopt;
  const auto rank = RankOf(graph, node.input(operand->data_index));
  const Tensor& bound = *operand->constant;
  if (!rank || *rank < 2 || bound.rank() > *rank) return std::nullopt;
  if (bound.size() == 1) return operand;
  const int64_t from_end = *rank - 1;  // axis 1
  if (bound.rank() < from_end || bound.dim(-from_end) != bound.size()) return std::nullopt;
  return operand;
}

Tensor ChannelConstant(const Graph& graph, const std::string& value, DType type,
                       const std::vector<double>& values) {
  Shape shape(static_cast<size_t>(*RankOf(graph, value)), 1);
  shape[1] = static_cast<int64_t>(values.size());
  return FromDoubles(values, type, shape);
}

bool FlattensToChannels(const Graph& graph, const Node& node) {
  if (node.Is("Flatten")) return node.Int("axis", 1) == 1;
  if (!node.Is("Reshape")) return false;
  const Tensor* shape = graph.Constant(node.input(1));
  if (!shape || !IsInteger(shape->dtype()) || shape->size() != 2) return false;
  const std::vector<int64_t> wanted = shape->ToInt64s();
  if (wanted[0] == 0 && node.Int("allowzero", 0) == 0) return true;  // keeps N, so merges the rest
  // Otherwise the rows are samples only if the declared sizes say so.
  const ValueInfo* info = FindValueInfo(graph, node.input(0));
  if (!info || !info->shape || info->shape->size() < 2) return false;
  int64_t per_sample = 1;
  for (size_t axis = 1; axis < info->shape->size(); ++axis) {
    const Dim& dim = (*info->shape)[axis];
    if (!dim.value || *dim.value <= 0 ||
        __builtin_mul_overflow(per_sample, *dim.value, &per_sample))
      return false;
  }
  if (wanted[1] == per_sample) return true;
  const Dim& samples = info->shape->front();
  return wanted[1] == -1 && samples.value && *samples.value == wanted[0];
}

}  // namespace roundel::graph
