#include "lib/targets/lint_codes.h"

#include <algorithm>

#include "lib/base/text.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/grid_name.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;

class CodesLinter {
 public:
  CodesLinter(const graph::Model& model, const Node& node, std::vector<Violation>* violations)
      : g_(*model.graph), opset_(model.Opset()), node_(node), violations_(*violations) {}

  void Run() {
    if (IsQuantizeNode(node_) || IsDequantizeNode(node_)) CheckQuantizer();
    if (node_.Is("QLinearConv")) CheckConv();
    if (node_.Is("ConvInteger")) CheckConvInteger();
    if (node_.Is("MatMulInteger")) CheckProduct({3}, 1);
    if (node_.Is("QLinearMatMul")) CheckProduct({4, 5}, 3);
    if (node_.Is("QGemm", kContribDomain)) CheckGemm();
    constexpr int64_t kDynamicQuantizeLinear = 11;
    if (node_.Is("DynamicQuantizeLinear") && opset_ < kDynamicQuantizeLinear)
      Add(StrCat("DynamicQuantizeLinear in opset ", opset_), "it came with opset 11",
          "raise the opset");
  }

 private:
  void Add(std::string what, std::string why, std::string advice = "write the node again") {
    violations_.push_back(
        {"codes", node_.DisplayName(), std::move(what), std::move(why), std::move(advice)});
  }

  const Tensor* Constant(size_t input) const { return g_.Constant(node_.input(input)); }
  bool IsOne(size_t input) const { return !Constant(input) || Constant(input)->size() == 1; }

  // ---- QuantizeLinear and DequantizeLinear

  void CheckQuantizer() {
    const Tensor *data = Constant(0), *scale = Constant(1), *zero_point = Constant(2);
    const bool contrib = !node_.domain.empty();
    const DType type = zero_point                        ? zero_point->dtype()
                       : data && IsDequantizeNode(node_) ? data->dtype()
                                                         : DType::kUndefined;
    if (type != DType::kUndefined) CheckType(type, contrib);
    if (data && IsDequantizeNode(node_) && zero_point && data->dtype() != zero_point->dtype())
      Add(StrCat("codes of ", DTypeName(data->dtype()), ", a zero point of ",
                 DTypeName(zero_point->dtype())),
          "both must have the same type");
    if (scale && zero_point && scale->size() != zero_point->size())
      Add(StrCat(scale->size(), " scales, ", zero_point->size(), " zero points"),
          "there must be one zero point per scale");
    if (scale && scale->size() != 1) CheckScales(*scale, data, contrib);
  }

  void CheckType(DType type, bool contrib) {
    if (type == DType::kInt32 && IsDequantizeNode(node_)) return;
    const bool known = IsInteger(type) && BitWidth(type) <= 16 && BitWidth(type) >= 4;
    if (contrib && !known)
      Add(StrCat("codes of ", DTypeName(type)), "com.microsoft has integers of 4 to 16 bits");
    if (!contrib && opset_ < QuantizeOpset(type))
      Add(StrCat("codes of ", DTypeName(type), " in opset ", opset_),
          StrCat("they came with opset ", QuantizeOpset(type)), "raise the opset");
  }

  void CheckScales(const Tensor& scale, const Tensor* data, bool contrib) {
    constexpr int64_t kChannels = 13, kBlocks = 21;
    const int64_t block = node_.Int("block_size", 0);
    const int64_t needed = block > 0 ? kBlocks : kChannels;
    if (!contrib && opset_ < needed)
      Add(StrCat(block > 0 ? "blocks" : "scales per channel", " in opset ", opset_),
          StrCat("they came with opset ", needed), "raise the opset");
    if (block == 0 && scale.rank() != 1)
      return Add(StrCat("scales of shape ", ShapeString(scale.shape())),
                 "scales per channel are a list");
    if (!data) return;
    int64_t axis = node_.Int("axis", 1);
    if (axis < 0) axis += data->rank();
    if (axis < 0 || axis >= data->rank())
      return Add(StrCat("axis ", node_.Int("axis", 1)),
                 StrCat("the data has ", data->rank(), " axes"));
    Shape wanted = {data->dim(axis)};
    if (block > 0) {
      wanted = data->shape();
      wanted[static_cast<size_t>(axis)] =
          data->dim(axis) == 0 ? 0 : (data->dim(axis) - 1) / block + 1;
    }
    if (scale.shape() != wanted)
      Add(StrCat("scales of shape ", ShapeString(scale.shape())),
          StrCat("data ", ShapeString(data->shape()), " needs ", ShapeString(wanted)));
  }

  // ---- layers

  // Input `i` must be one number, or a list of `count`.
  void CheckList(size_t i, const char* what, int64_t count) {
    const Tensor* list = Constant(i);
    if (!list || list->size() == 1 || (list->rank() == 1 && list->dim(0) == count)) return;
    Add(StrCat(what, " of shape ", ShapeString(list->shape())),
        StrCat("one is needed, or ", count));
  }

  void CheckConv() {
    for (const size_t i : {1, 2, 6, 7})
      if (!IsOne(i)) Add("several scales of an activation", "QLinearConv takes one");
    const Tensor *weight = Constant(3), *zero_point = Constant(5), *bias = Constant(8);
    if (!weight || weight->rank() == 0) return;
    CheckList(4, "scales", weight->dim(0));
    CheckList(5, "zero points", weight->dim(0));
    if (zero_point && !IsInteger(zero_point->dtype()))
      return Add("a zero point of " + DTypeName(zero_point->dtype()),
                 "QLinearConv takes int8 or uint8");
    const std::vector<int64_t> zeros = zero_point ? zero_point->ToInt64s() : std::vector<int64_t>();
    if (std::ranges::any_of(zeros, [&](int64_t zero) { return zero != zeros[0]; }))
      return Add("zero points that differ by channel", "QLinearConv needs equal ones",
                 "quantize the weights symmetrically");
    if (bias && (bias->dtype() != DType::kInt32 || bias->size() != weight->dim(0)))
      Add(StrCat("a bias of ", DTypeName(bias->dtype()), ShapeString(bias->shape())),
          StrCat("int32[", weight->dim(0), "] is needed"));
  }

  void CheckConvInteger() {
    const Tensor* weight = Constant(1);
    if (weight && weight->dtype() == DType::kInt8)
      Add("ConvInteger with int8 weights", "runtimes have this operator for uint8 weights only",
          "write the weights as uint8 + 128");
    if (!IsOne(3))
      Add("several zero points of the weights", "ConvInteger takes one",
          "quantize the weights symmetrically");
  }

  // The right operand of a product has one scale, a list with one scale per column of a matrix, or,
  // for a batch of matrices, scales of the same rank with length 1 on the second-to-last axis.
  void CheckProduct(std::initializer_list<size_t> parameters, size_t matrix) {
    const Tensor* b = Constant(matrix);
    for (const size_t i : parameters) {
      const Tensor* p = Constant(i);
      if (!b || !p || p->size() == 1) continue;
      const bool list = b->rank() == 2 && p->rank() == 1 && p->dim(0) == b->dim(1);
      const bool whole = b->rank() >= 2 && p->rank() == b->rank() && p->dim(p->rank() - 2) == 1 &&
                         p->dim(p->rank() - 1) == b->dim(b->rank() - 1);
      if (!list && !whole)
        Add(StrCat("scales or zero points of shape ", ShapeString(p->shape())),
            StrCat("a weight of shape ", ShapeString(b->shape()), " cannot have these"),
            "use granularity tensor for this op");
    }
  }

  void CheckGemm() {
    const Tensor* weight = Constant(3);
    if (!weight || weight->rank() != 2) return;
    const int64_t columns = weight->dim(node_.Int("transB", 0) != 0 ? 0 : 1);
    CheckList(4, "scales", columns);
    CheckList(5, "zero points", columns);
    const Tensor* bias = Constant(6);
    if (bias && bias->dtype() != DType::kInt32)
      Add("a bias of " + DTypeName(bias->dtype()), "QGemm takes int32");
  }

  const Graph& g_;
  const int64_t opset_;
  const Node& node_;
  std::vector<Violation>& violations_;
};

}  // namespace

void LintCodes(const graph::Model& model, const Node& node, std::vector<Violation>* violations) {
  CodesLinter(model, node, violations).Run();
}

}  // namespace roundel::target
