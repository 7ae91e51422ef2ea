// The table of changes between opsets (Changelog.md of ONNX), and the adapters that move attributes
// to inputs. Changes of meaning are in opset_meaning.cpp.

#include <limits>

#include "lib/base/text.h"
#include "lib/graph/match.h"
#include "lib/graph/opset_rewriter.h"

namespace roundel::graph {
namespace {

Tensor Int64s(const std::vector<int64_t>& values) {
  return Tensor::FromVector<int64_t>({static_cast<int64_t>(values.size())}, values);
}

// A scalar for input `index`, in the type of the data.
Status SetFloatInput(OpsetRewriter& rewriter, Node* node, size_t index, const std::string& what,
                     float value) {
  const DType type = rewriter.Type(node->input(0));
  if (type != DType::kFloat && type != DType::kDouble && type != DType::kFloat16 &&
      type != DType::kBfloat16)
    return ModelError(StrCat("the type of its input '", node->input(0),
                             "' is not known; run shape inference on the model first"));
  rewriter.SetConstantInput(node, index, what, Tensor::Scalar(value).FromFloatTo(type));
  return OkStatus();
}

// ---- attributes that became inputs

// Input 1; an empty list meant the same as none.
Status AxesToInput(OpsetRewriter& rewriter, Node* node) {
  const std::vector<int64_t> axes = rewriter.TakeInts(node, "axes");
  if (!axes.empty()) rewriter.SetConstantInput(node, 1, "axes", Int64s(axes));
  return OkStatus();
}

Status SplitTo13(OpsetRewriter& rewriter, Node* node) {
  const std::vector<int64_t> split = rewriter.TakeInts(node, "split");
  if (!split.empty()) rewriter.SetConstantInput(node, 1, "split", Int64s(split));
  return OkStatus();
}

// Equal parts were implied by the number of outputs; now they are explicit.
Status SplitTo18(OpsetRewriter&, Node* node) {
  if (node->input(1).empty())
    node->SetAttribute("num_outputs", static_cast<int64_t>(node->outputs.size()));
  return OkStatus();
}

Status SliceTo10(OpsetRewriter& rewriter, Node* node) {
  const std::vector<int64_t> starts = rewriter.TakeInts(node, "starts");
  const std::vector<int64_t> ends = rewriter.TakeInts(node, "ends");
  const std::vector<int64_t> axes = rewriter.TakeInts(node, "axes");
  rewriter.SetConstantInput(node, 1, "starts", Int64s(starts));
  rewriter.SetConstantInput(node, 2, "ends", Int64s(ends));
  if (!axes.empty()) rewriter.SetConstantInput(node, 3, "axes", Int64s(axes));
  return OkStatus();
}

Status TopKTo10(OpsetRewriter& rewriter, Node* node) {
  if (!node->FindAttribute("k")) return ModelError("it has no attribute 'k'");
  const int64_t k = node->Int("k", 0);
  node->RemoveAttribute("k");
  rewriter.SetConstantInput(node, 1, "k", Int64s({k}));
  return OkStatus();
}

Status PadTo11(OpsetRewriter& rewriter, Node* node) {
  const std::vector<int64_t> pads = rewriter.TakeInts(node, "pads");
  const float value = node->Float("value", 0);
  node->RemoveAttribute("value");
  rewriter.SetConstantInput(node, 1, "pads", Int64s(pads));
  return value == 0 ? OkStatus() : SetFloatInput(rewriter, node, 2, "value", value);
}

// Infinite bounds, which the old defaults were, are omitted.
Status ClipTo11(OpsetRewriter& rewriter, Node* node) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  const float low = node->Float("min", -kLargest), high = node->Float("max", kLargest);
  node->RemoveAttribute("min");
  node->RemoveAttribute("max");
  if (low > -kLargest) RETURN_IF_ERROR(SetFloatInput(rewriter, node, 1, "min", low));
  if (high < kLargest) RETURN_IF_ERROR(SetFloatInput(rewriter, node, 2, "max", high));
  return OkStatus();
}

// The mask became bool at 10.
Status DropoutTo10(OpsetRewriter& rewriter, Node* node) {
  if (rewriter.IsRead(node->output(1)))
    return ModelError("its mask is read, and is a bool from opset 10 on");
  ForgetValue(&rewriter.graph(), node->output(1));
  return OkStatus();
}

Status DropoutTo12(OpsetRewriter& rewriter, Node* node) {
  if (!node->FindAttribute("ratio")) return OkStatus();  // 0.5 before and after
  const float ratio = node->Float("ratio", 0.5f);
  node->RemoveAttribute("ratio");
  rewriter.SetConstantInput(node, 1, "ratio", Tensor::Scalar(ratio));
  return OkStatus();
}

Status DftTo20(OpsetRewriter& rewriter, Node* node) {
  const int64_t axis = node->Int("axis", 1);  // the default became -2
  node->RemoveAttribute("axis");
  rewriter.SetConstantInput(node, 2, "axis", Tensor::Scalar(axis));
  return OkStatus();
}

// ---- names and small things

Status BatchNormalizationTo9(OpsetRewriter&, Node* node) {
  if (node->Int("spatial", 1) == 0)
    return ModelError("normalizing every position separately (spatial=0) no longer exists");
  node->RemoveAttribute("spatial");
  return OkStatus();
}

Status BatchNormalizationTo14(OpsetRewriter& rewriter, Node* node) {
  for (size_t i = 1; i < node->outputs.size(); ++i)
    if (rewriter.IsRead(node->outputs[i])) return ModelError("its training outputs are read");
  // Named outputs beyond the first meant training mode, read or not.
  for (size_t i = 1; i < node->outputs.size(); ++i)
    if (!node->outputs[i].empty()) return ModelError("it is in training mode");
  node->outputs.resize(1);
  return OkStatus();
}

Status ScanTo9(OpsetRewriter&, Node*) {
  return ModelError("Scan had a batch axis and sequence lengths before opset 9");
}

Status ScatterTo11(OpsetRewriter&, Node* node) {
  node->op_type = "ScatterElements";
  return OkStatus();
}

Status RoiAlignTo16(OpsetRewriter&, Node* node) {
  // The default became half_pixel.
  if (!node->FindAttribute("coordinate_transformation_mode"))
    node->SetAttribute("coordinate_transformation_mode", std::string("output_half_pixel"));
  return OkStatus();
}

Status GridSampleTo20(OpsetRewriter&, Node* node) {
  const std::string mode = node->String("mode", "bilinear");
  if (mode == "bilinear") node->SetAttribute("mode", std::string("linear"));
  if (mode == "bicubic") node->SetAttribute("mode", std::string("cubic"));
  return OkStatus();
}

}  // namespace

const std::vector<OpsetAdapter>& OpsetAdapters() {
  static const std::vector<OpsetAdapter> kAdapters = {
      {9, "BatchNormalization", "spatial", BatchNormalizationTo9},
      {9, "Scan", "", ScanTo9},
      {9, "Upsample", "scales", UpsampleTo9},
      {10, "Dropout", "", DropoutTo10},
      {10, "Slice", "starts ends axes", SliceTo10},
      {10, "TopK", "k", TopKTo10},
      {10, "Upsample", "mode", UpsampleTo10},
      {11, "Clip", "min max", ClipTo11},
      {11, "Pad", "pads value", PadTo11},
      {11, "Resize", "mode", ResizeTo11},
      {11, "Scatter", "", ScatterTo11},
      {12, "Dropout", "ratio", DropoutTo12},
      {13, "Hardmax", "axis", SoftmaxTo13},
      {13, "LogSoftmax", "axis", SoftmaxTo13},
      {13, "ReduceSum", "axes", AxesToInput},
      {13, "Resize", "coordinate_transformation_mode nearest_mode mode", ResizeTo13},
      {13, "Softmax", "axis", SoftmaxTo13},
      {13, "Split", "split", SplitTo13},
      {13, "Squeeze", "axes", AxesToInput},
      {13, "Unsqueeze", "axes", AxesToInput},
      {14, "BatchNormalization", "", BatchNormalizationTo14},
      {16, "RoiAlign", "", RoiAlignTo16},
      {18, "ReduceL1", "axes", AxesToInput},
      {18, "ReduceL2", "axes", AxesToInput},
      {18, "ReduceLogSum", "axes", AxesToInput},
      {18, "ReduceLogSumExp", "axes", AxesToInput},
      {18, "ReduceMax", "axes", AxesToInput},
      {18, "ReduceMean", "axes", AxesToInput},
      {18, "ReduceMin", "axes", AxesToInput},
      {18, "ReduceProd", "axes", AxesToInput},
      {18, "ReduceSumSquare", "axes", AxesToInput},
      {18, "Split", "", SplitTo18},
      {20, "DFT", "axis", DftTo20},
      {20, "GridSample", "mode", GridSampleTo20},
      {21, "GroupNormalization", "num_groups", GroupNormalizationTo21},
  };
  return kAdapters;
}

}  // namespace roundel::graph
