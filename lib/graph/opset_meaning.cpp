// Operators with a changed meaning between opsets: Softmax, LogSoftmax, Hardmax, Upsample, Resize
// and GroupNormalization.

#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/match.h"
#include "lib/graph/opset_rewriter.h"

namespace roundel::graph {
namespace {

// True if every axis after `axis` is declared to have one element.
bool RestIsOne(const OpsetRewriter& rewriter, const std::string& value, int64_t axis) {
  const auto shape = rewriter.StaticShape(value);
  if (!shape || axis < 0 || axis >= static_cast<int64_t>(shape->size())) return false;
  return std::all_of(shape->begin() + axis + 1, shape->end(), [](int64_t d) { return d == 1; });
}

// Whether the scales of Resize enlarge (+1), shrink (-1) or keep (0) the axes; nullopt if they do
// both or are not known.
std::optional<int> Direction(const OpsetRewriter& rewriter, const std::string& scales) {
  const Tensor* constant = rewriter.Default(scales);
  if (!constant || constant->dtype() != DType::kFloat) return std::nullopt;
  bool up = false, down = false;
  for (const float scale : constant->span<float>()) {
    up = up || scale > 1;
    down = down || scale < 1;
  }
  if (up && down) return std::nullopt;
  return up ? 1 : down ? -1 : 0;
}

}  // namespace

// Before 13 the axes from `axis` on were one: softmax over all of them together. From 13 on it is
// over `axis` alone, and the default is the last, not 1.
//
//   Softmax(x)   becomes   Reshape(Softmax(Flatten(x)), Shape(x))    unless the two agree
//
// The result has the same meaning before and after 13: softmax over the last of two axes.
bool FlattenSoftmax(OpsetRewriter& rewriter, Node* node) {
  Graph& graph = rewriter.graph();
  const int64_t axis = node->Int("axis", 1);
  const auto rank = rewriter.Rank(node->input(0));
  const int64_t from_front = axis < 0 && rank ? axis + *rank : axis;
  if (axis == -1 || (rank && from_front == *rank - 1) ||
      RestIsOne(rewriter, node->input(0), from_front))
    return false;
  const std::string input = node->input(0), output = node->output(0);
  const std::string shape = rewriter.FreshName(output + "_shape");
  const std::string rows = rewriter.FreshName(output + "_rows");
  const std::string flat = rewriter.FreshName(output + "_flat");
  graph.InsertBefore(node, {.op_type = "Shape", .inputs = {input}, .outputs = {shape}});
  Node flatten{.op_type = "Flatten", .inputs = {input}, .outputs = {rows}};
  flatten.SetAttribute("axis", axis);
  graph.InsertBefore(node, std::move(flatten));
  graph.SetInput(node, 0, rows);
  graph.SetOutput(node, 0, flat);
  node->SetAttribute("axis", int64_t{-1});
  graph.InsertAfter(node, {.op_type = "Reshape", .inputs = {flat, shape}, .outputs = {output}});
  return true;
}

Status SoftmaxTo13(OpsetRewriter& rewriter, Node* node) {
  if (!FlattenSoftmax(rewriter, node)) node->SetAttribute("axis", node->Int("axis", 1));
  return OkStatus();
}

Status UpsampleTo9(OpsetRewriter& rewriter, Node* node) {
  const std::vector<float> scales = node->Floats("scales");
  if (scales.empty()) return ModelError("it has no attribute 'scales'");
  node->RemoveAttribute("scales");
  rewriter.SetConstantInput(
      node, 1, "scales", Tensor::FromVector<float>({static_cast<int64_t>(scales.size())}, scales));
  return OkStatus();
}

Status UpsampleTo10(OpsetRewriter&, Node* node) {
  node->op_type = "Resize";
  if (node->String("mode", "nearest") == "bilinear")
    node->SetAttribute("mode", std::string("linear"));
  return OkStatus();
}

// Resize-10 computes x = y / scale; "nearest" takes the pixel below when it enlarges and the one
// above when it shrinks (as ONNX Runtime and the operator's own examples do). Resize-11 calls that
// asymmetric with floor or ceil; its own defaults differ.
Status ResizeTo11(OpsetRewriter& rewriter, Node* node) {
  const std::string scales = node->input(1);
  if (node->String("mode", "nearest") == "nearest") {
    const auto direction = Direction(rewriter, scales);
    if (!direction)
      return ModelError(
          "its scales are not constant, or both enlarge and shrink, so that its "
          "rounding is unknown");
    node->SetAttribute("nearest_mode", std::string(*direction < 0 ? "ceil" : "floor"));
  }
  node->SetAttribute("coordinate_transformation_mode", std::string("asymmetric"));
  // The region of interest is a required input of version 11, and not used in this mode.
  rewriter.SetConstantInput(node, 1, "roi", Tensor::Zeros(DType::kFloat, {0}));
  rewriter.graph().SetInput(node, 2, scales);
  return OkStatus();
}

// Inputs that do not apply are left out from 13 on; before, they were empty tensors.
Status ResizeTo13(OpsetRewriter& rewriter, Node* node) {
  Graph& graph = rewriter.graph();
  const bool crops =
      node->String("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize";
  for (const size_t index : {size_t{1}, size_t{2}}) {
    const std::string name = node->input(index);
    const Tensor* constant = rewriter.Default(name);
    const bool empty = constant && constant->size() == 0;
    if (name.empty() ||
        !(index == 1 ? empty || (constant && !crops) : empty && !node->input(3).empty()))
      continue;
    graph.SetInput(node, index, "");
    if (graph.FindInitializer(name) && graph.Uses(name).empty() && !graph.IsInput(name) &&
        !graph.IsOutput(name))
      graph.RemoveInitializer(name);
  }
  if (node->String("coordinate_transformation_mode", "") != "tf_half_pixel_for_nn")
    return OkStatus();
  // x = (y + 1/2) / scale no longer exists. floor(x) is half_pixel's x' = x - 1/2 rounded half up.
  if (node->String("mode", "nearest") != "nearest" ||
      node->String("nearest_mode", "round_prefer_floor") != "floor")
    return ModelError("tf_half_pixel_for_nn no longer exists for this rounding");
  node->SetAttribute("coordinate_transformation_mode", std::string("half_pixel"));
  node->SetAttribute("nearest_mode", std::string("round_prefer_ceil"));
  return OkStatus();
}

// Scale and bias were one per group and are one per channel.
Status GroupNormalizationTo21(OpsetRewriter& rewriter, Node* node) {
  const auto shape = rewriter.StaticShape(node->input(0));
  const int64_t groups = node->Int("num_groups", 0);
  if (!shape || shape->size() < 2 || groups <= 0 || (*shape)[1] % groups != 0)
    return ModelError("the number of its channels is not known, or no multiple of num_groups");
  const int64_t repeat = (*shape)[1] / groups;
  for (const size_t index : {size_t{1}, size_t{2}}) {
    const Tensor* old = rewriter.Constant(node->input(index));
    if (!old || !IsFloating(old->dtype()) || BitWidth(old->dtype()) < 8 || old->size() != groups)
      return ModelError("its scale or bias is not a constant of one value per group");
    Tensor wide = Tensor::Empty(old->dtype(), {(*shape)[1]});
    const int64_t bytes = BitWidth(old->dtype()) / 8;
    const auto* from = static_cast<const std::byte*>(old->raw());
    auto* to = static_cast<std::byte*>(wide.mutable_raw());
    for (int64_t c = 0; c < (*shape)[1]; ++c)
      std::copy_n(from + c / repeat * bytes, bytes, to + c * bytes);
    rewriter.SetConstantInput(node, index, index == 1 ? "scale" : "bias", std::move(wide));
  }
  return OkStatus();
}

}  // namespace roundel::graph
