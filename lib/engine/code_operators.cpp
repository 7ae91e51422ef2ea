// Operators on 8-bit codes (QLinearConv and others) are rewritten as the operator on floats between
// quantizers:
//
//    QLinearConv(x, w, b)   is   DequantizeLinear(x), (w), (b) -> Conv -> QuantizeLinear
//
// They then run as the pairs of a QDQ model do: on codes, in the integer kernels, fused, in any
// layout. Operators with computed grids, or with forms that a pair cannot express, are not changed.

#include "lib/engine/code_operators.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "lib/base/text.h"

namespace roundel::engine {
namespace {

using graph::Node;

// A grid by the names of its constants.
struct GridNames {
  std::string scale, zero_point;
};

// Operators of com.microsoft with inputs x, scale, zero point, scale of y, zero point of y.
const std::unordered_map<std::string, std::string> kUnary = {
    {"QLinearAveragePool", "AveragePool"},
    {"QLinearGlobalAveragePool", "GlobalAveragePool"},
    {"QLinearLeakyRelu", "LeakyRelu"},
    {"QLinearSigmoid", "Sigmoid"},
    {"QLinearSoftmax", "Softmax"}};
// With inputs a, b (each followed by its scale and zero point), scale and zero point of y.
const std::unordered_map<std::string, std::string> kBinary = {
    {"QLinearAdd", "Add"}, {"QLinearMul", "Mul"}, {"QLinearMatMul", "MatMul"}};
// Operators that move the codes of their first input.
constexpr const char* kMoving[] = {"Flatten", "MaxPool",   "Reshape",  "Slice",
                                   "Squeeze", "Transpose", "Unsqueeze"};

class CodeOperators {
 public:
  CodeOperators(const ConstantsByName& constants, int64_t opset, std::vector<FlatNode>* nodes)
      : constants_(constants), opset_(opset), nodes_(*nodes) {}

  void Run() {
    for (FlatNode& flat : nodes_) {
      flat_ = &flat;
      const size_t before = made_.size();
      const bool computed = IsComputed(flat.node);
      if (!computed)
        for (const std::string& output : flat.node.outputs) folded_.insert(output);
      // Nodes with constant inputs are computed in the operator's own arithmetic.
      if (computed && Rewrite(flat.node)) continue;
      made_.resize(before);
      if (flat.node.Is("QuantizeLinear") && flat.node.inputs.size() > 2)
        grids_[flat.node.output(0)] = {flat.node.input(1), flat.node.input(2)};
      made_.push_back(std::move(flat));
    }
    nodes_ = std::move(made_);
  }

 private:
  // False if all inputs of the node are constant.
  bool IsComputed(const Node& node) const {
    return node.inputs.empty() ||
           std::any_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) {
             return !input.empty() && !constants_.contains(input) && !folded_.contains(input);
           });
  }

  bool Rewrite(const Node& node) {
    const bool contrib = node.domain == "com.microsoft";
    if (node.outputs.size() != 1) return false;
    if (node.Is("QLinearConv") || (contrib && node.op_type == "QLinearConv")) return Conv(node);
    if (node.Is("QLinearMatMul")) return Binary(node);
    if (contrib && node.op_type == "QGemm") return Gemm(node);
    if (contrib && kBinary.contains(node.op_type)) return Binary(node);
    if (contrib && kUnary.contains(node.op_type)) return Unary(node);
    if (contrib && node.op_type == "QLinearConcat") return Concat(node);
    if (contrib && node.op_type == "QLinearWhere") return Where(node);
    return Move(node);
  }

  // ---- the parts of the rewritten form

  const Tensor* Constant(const std::string& name) const {
    const auto it = constants_.find(name);
    return it == constants_.end() ? nullptr : it->second;
  }

  std::string Fresh() { return StrCat(flat_->node.output(0), "/float", names_++); }

  void Add(Node node, int64_t opset) {
    FlatNode flat{.node = std::move(node), .opset = opset, .function = flat_->function};
    made_.push_back(std::move(flat));
  }

  // Whether these constants are a per-tensor grid of 8-bit codes.
  bool IsGrid(const GridNames& grid) const {
    const Tensor *scale = Constant(grid.scale), *zero = Constant(grid.zero_point);
    return scale && zero && scale->dtype() == DType::kFloat && scale->size() == 1 &&
           zero->size() == 1 && (zero->dtype() == DType::kUint8 || zero->dtype() == DType::kInt8);
  }

  // The name of the floats that correspond to the codes of inputs [i, i + 3); "" if there is no
  // such grid.
  std::string Floats(const Node& node, size_t i) {
    const GridNames grid{node.input(i + 1), node.input(i + 2)};
    if (node.input(i).empty() || !IsGrid(grid)) return "";
    const std::string floats = Fresh();
    Add({.op_type = "DequantizeLinear",
         .inputs = {node.input(i), grid.scale, grid.zero_point},
         .outputs = {floats}},
        opset_);
    return floats;
  }

  // The same for constant weights, whose grid may be per index of `axis`.
  std::string WeightFloats(const Node& node, size_t i, int64_t axis) {
    const Tensor *codes = Constant(node.input(i)), *scale = Constant(node.input(i + 1)),
                 *zero = Constant(node.input(i + 2));
    if (!codes || !scale || !zero || scale->dtype() != DType::kFloat ||
        zero->dtype() != codes->dtype() || scale->shape() != zero->shape())
      return "";
    if (scale->size() != 1 && (scale->rank() != 1 || scale->dim(0) != codes->dim(axis))) return "";
    const std::string floats = Fresh();
    Node made{.op_type = "DequantizeLinear",
              .inputs = {node.input(i), node.input(i + 1), node.input(i + 2)},
              .outputs = {floats}};
    made.SetAttribute("axis", axis);
    Add(std::move(made), opset_);
    return floats;
  }

  // An int32 bias in units of input scale * weight scale.
  std::string BiasFloats(const std::string& bias, const std::string& x_scale,
                         const std::string& w_scale) {
    const Tensor *codes = Constant(bias), *x = Constant(x_scale), *w = Constant(w_scale);
    if (!codes || codes->dtype() != DType::kInt32 || codes->rank() != 1) return "";
    Tensor unit = Tensor::Empty(DType::kFloat, w->size() == 1 ? Shape{} : w->shape());
    for (int64_t i = 0; i < unit.size(); ++i)
      unit.mutable_data<float>()[i] = x->data<float>()[0] * w->data<float>()[i];
    const std::string scale = Fresh(), floats = Fresh();
    Node constant{.op_type = "Constant", .outputs = {scale}};
    constant.SetAttribute("value", unit);
    Add(std::move(constant), opset_);
    Node made{.op_type = "DequantizeLinear", .inputs = {bias, scale}, .outputs = {floats}};
    made.SetAttribute("axis", int64_t{0});
    Add(std::move(made), opset_);
    return floats;
  }

  // The operator itself, on floats, and the QuantizeLinear to that grid.
  bool Put(const Node& node, const std::string& op_type, std::vector<std::string> inputs,
           const GridNames& grid, int64_t opset) {
    if (!IsGrid(grid)) return false;
    Node made = node;
    made.op_type = op_type;
    made.domain.clear();
    made.inputs = std::move(inputs);
    made.outputs = {Fresh()};
    const std::string floats = made.outputs[0];
    Add(std::move(made), opset);
    Add({.op_type = "QuantizeLinear",
         .inputs = {floats, grid.scale, grid.zero_point},
         .outputs = {node.output(0)}},
        opset_);
    grids_[node.output(0)] = grid;
    return true;
  }

  // ---- by operator

  bool Conv(const Node& node) {
    const Tensor* weights = Constant(node.input(3));
    if (node.Int("channels_last", 0) != 0 || !weights || weights->rank() < 3) return false;
    std::vector<std::string> inputs = {Floats(node, 0), WeightFloats(node, 3, 0)};
    if (inputs[0].empty() || inputs[1].empty()) return false;
    if (!node.input(8).empty()) {
      inputs.push_back(BiasFloats(node.input(8), node.input(1), node.input(4)));
      if (inputs[2].empty()) return false;
    }
    return Put(node, "Conv", std::move(inputs), {node.input(6), node.input(7)}, opset_);
  }

  bool Gemm(const Node& node) {
    const Tensor* weights = Constant(node.input(3));
    if (!weights || weights->rank() != 2 || node.Float("alpha", 1) != 1 || node.input(7).empty())
      return false;
    const int64_t axis = node.Int("transB", 0) != 0 ? 0 : 1;
    std::vector<std::string> inputs = {Floats(node, 0), WeightFloats(node, 3, axis)};
    if (inputs[0].empty() || inputs[1].empty()) return false;
    if (!node.input(6).empty()) {
      inputs.push_back(BiasFloats(node.input(6), node.input(1), node.input(4)));
      if (inputs[2].empty()) return false;
    }
    return Put(node, "Gemm", std::move(inputs), {node.input(7), node.input(8)}, opset_);
  }

  bool Binary(const Node& node) {
    const std::string op_type = kBinary.at(node.op_type);
    const Tensor* weights = op_type == "MatMul" ? Constant(node.input(3)) : nullptr;
    std::vector<std::string> inputs = {Floats(node, 0), ""};
    inputs[1] = weights && weights->rank() >= 2 ? WeightFloats(node, 3, weights->rank() - 1)
                                                : Floats(node, 3);
    if (inputs[0].empty() || inputs[1].empty()) return false;
    return Put(node, op_type, std::move(inputs), {node.input(6), node.input(7)}, opset_);
  }

  bool Unary(const Node& node) {
    if (node.Int("channels_last", 0) != 0) return false;
    const std::string x = Floats(node, 0), op_type = kUnary.at(node.op_type);
    if (x.empty()) return false;
    // The attribute of the Softmax gives its version.
    const int64_t opset = op_type == "Softmax" ? node.Int("opset", opset_) : opset_;
    return Put(node, op_type, {x}, {node.input(3), node.input(4)}, opset);
  }

  bool Concat(const Node& node) {
    std::vector<std::string> inputs;
    for (size_t i = 2; i < node.inputs.size(); i += 3) {
      inputs.push_back(Floats(node, i));
      if (inputs.back().empty()) return false;
    }
    return Put(node, "Concat", std::move(inputs), {node.input(0), node.input(1)}, opset_);
  }

  bool Where(const Node& node) {
    const std::string x = Floats(node, 1), y = Floats(node, 4);
    if (x.empty() || y.empty()) return false;
    return Put(node, "Where", {node.input(0), x, y}, {node.input(7), node.input(8)}, opset_);
  }

  bool Move(const Node& node) {
    const auto grid = grids_.find(node.input(0));
    const bool moves = std::any_of(std::begin(kMoving), std::end(kMoving),
                                   [&](const char* op) { return node.Is(op); });
    if (!moves || grid == grids_.end() || !IsGrid(grid->second)) return false;
    const GridNames names = grid->second;
    std::vector<std::string> inputs = node.inputs;
    inputs[0] = Fresh();
    Add({.op_type = "DequantizeLinear",
         .inputs = {node.input(0), names.scale, names.zero_point},
         .outputs = {inputs[0]}},
        opset_);
    return Put(node, node.op_type, std::move(inputs), names, flat_->opset);
  }

  const ConstantsByName& constants_;
  const int64_t opset_;
  std::vector<FlatNode>& nodes_;
  std::vector<FlatNode> made_;
  std::unordered_set<std::string> folded_;            // results of nodes with only constant inputs
  std::unordered_map<std::string, GridNames> grids_;  // of the codes that the nodes so far compute
  const FlatNode* flat_ = nullptr;
  int names_ = 0;
};

}  // namespace

void UnfoldCodeOperators(const graph::Graph& graph, int64_t opset, std::vector<FlatNode>* nodes) {
  const bool any = std::any_of(nodes->begin(), nodes->end(), [](const FlatNode& flat) {
    return flat.node.op_type.starts_with("QLinear") || flat.node.op_type == "QGemm";
  });
  if (!any) return;
  const ConstantsByName constants = ConstantsOf(graph, *nodes);
  // The new nodes need a version in which grids have an axis.
  CodeOperators(constants, std::max<int64_t>(13, opset), nodes).Run();
}

}  // namespace roundel::engine
