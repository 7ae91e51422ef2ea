#include "lib/engine/sample_axis.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace roundel::engine {
namespace {

// Values are constants, or batches of a known rank whose axis 0 counts samples.
class Judge {
 public:
  explicit Judge(const Plan& plan) : plan_(plan), rank_(plan.slots.size(), kUnknown) {}

  bool Run() {
    for (size_t i = 0; i < plan_.inputs.size(); ++i) {
      const graph::ValueInfo& input = plan_.inputs[i];
      if (!input.shape || input.shape->empty() || input.shape->front().value) return false;
      rank_[plan_.input_slots[i]] = static_cast<int64_t>(input.shape->size());
    }
    for (const PlanNode& node : plan_.nodes)
      if (!Visit(node)) return false;
    return !plan_.inputs.empty() &&
           std::all_of(plan_.output_slots.begin(), plan_.output_slots.end(),
                       [this](int slot) { return rank_[slot] > 0; });
  }

 private:
  static constexpr int64_t kUnknown = -1;

  const Tensor* Constant(const PlanNode& n, size_t i) const {
    if (!Given(n, i)) return nullptr;
    const auto& constant = plan_.slots[n.inputs[i]].constant;
    return constant ? &*constant : nullptr;
  }
  bool Given(const PlanNode& n, size_t i) const {
    return i < n.inputs.size() && n.inputs[i] != kNoSlot;
  }
  // The rank of input i, a batch; kUnknown for anything else.
  int64_t Rank(const PlanNode& n, size_t i) const {
    return Given(n, i) && !Constant(n, i) ? rank_[n.inputs[i]] : kUnknown;
  }
  bool RestConstant(const PlanNode& n, size_t from = 1) const {
    for (size_t i = from; i < n.inputs.size(); ++i)
      if (Given(n, i) && !Constant(n, i)) return false;
    return true;
  }
  bool Put(const PlanNode& n, int64_t rank) {
    for (int slot : n.outputs)
      if (slot != kNoSlot) rank_[slot] = rank;
    return rank > 0;
  }
  // False if `axis` is that of the samples.
  static bool Spares(int64_t axis, int64_t rank) { return axis != 0 && axis != -rank; }

  // Values of one node's attribute or constant input that name axes or sizes.
  bool Numbers(const PlanNode& n, const char* attribute, size_t input,
               std::vector<int64_t>* numbers) const {
    if (Given(n, input)) {
      const Tensor* constant = Constant(n, input);
      if (!constant || !IsInteger(constant->dtype())) return false;
      *numbers = constant->ToInt64s();
      return true;
    }
    *numbers = n.node.Ints(attribute);
    return n.node.FindAttribute(attribute) != nullptr;
  }
  bool SpareAll(const std::vector<int64_t>& axes, int64_t rank) const {
    return std::all_of(axes.begin(), axes.end(), [&](int64_t a) { return Spares(a, rank); });
  }

  bool Visit(const PlanNode& n) {
    if (!n.node.domain.empty() || !n.subgraphs.empty()) return false;
    const auto& rules = Rules();
    const auto rule = rules.find(n.node.op_type);
    return rule != rules.end() && (this->*rule->second)(n);
  }

  // Every element by itself, or every sample by itself at the same rank; other inputs constant.
  bool Same(const PlanNode& n) { return RestConstant(n) && Put(n, Rank(n, 0)); }
  bool Training(const PlanNode& n) {
    return n.node.Int("training_mode", 0) == 0 && n.outputs.size() == 1 && n.inputs.size() <= 5 &&
           Same(n);
  }
  // Numpy broadcasting: axis 0 must stay where it is.
  bool Broadcast(const PlanNode& n) {
    if (n.opset < 7) return false;  // may name the axis at which the second operand starts
    int64_t rank = kUnknown;
    for (size_t i = 0; i < n.inputs.size(); ++i)
      if (!Constant(n, i)) {
        if (Rank(n, i) <= 0 || (rank > 0 && Rank(n, i) != rank)) return false;
        rank = Rank(n, i);
      }
    for (size_t i = 0; i < n.inputs.size(); ++i)
      if (const Tensor* c = Constant(n, i))
        if (c->rank() > rank || (c->rank() == rank && c->dim(0) != 1)) return false;
    return Put(n, rank);
  }
  bool Concat(const PlanNode& n) {
    const int64_t rank = Rank(n, 0);
    for (size_t i = 0; i < n.inputs.size(); ++i)
      if (Rank(n, i) != rank) return false;
    return Spares(n.node.Int("axis", 0), rank) && Put(n, rank);
  }
  bool Axis(const PlanNode& n) {  // Softmax and its kin
    const int64_t fallback = n.node.op_type == "Split" ? 0 : n.opset < 13 ? 1 : -1;
    return Spares(n.node.Int("axis", fallback), Rank(n, 0)) && Same(n);
  }
  bool Flatten(const PlanNode& n) { return n.node.Int("axis", 1) == 1 && Rank(n, 0) > 0 && Put(n, 2); }
  bool Reshape(const PlanNode& n) {
    const Tensor* shape = Constant(n, 1);
    if (!shape || shape->size() == 0 || Rank(n, 0) <= 0) return false;
    const std::vector<int64_t> dims = shape->ToInt64s();
    const bool keeps = dims[0] == 0 && n.node.Int("allowzero", 0) == 0;
    // With -1 in front, rows of the result are parts of samples, or else the last sizes must show it.
    return (keeps || dims[0] == -1) && Put(n, static_cast<int64_t>(dims.size()));
  }
  bool Transpose(const PlanNode& n) {
    const std::vector<int64_t> order = n.node.Ints("perm");
    return !order.empty() && order[0] == 0 && Same(n);
  }
  bool Reduce(const PlanNode& n) {
    std::vector<int64_t> axes;
    const int64_t rank = Rank(n, 0);
    if (!Numbers(n, "axes", 1, &axes) || axes.empty() || !SpareAll(axes, rank)) return false;
    const bool keep = n.node.Int("keepdims", 1) != 0;
    return RestConstant(n) && Put(n, keep ? rank : rank - std::ssize(axes));
  }
  bool Squeeze(const PlanNode& n) {
    std::vector<int64_t> axes;
    const bool grows = n.node.op_type == "Unsqueeze";
    if (Rank(n, 0) <= 0 || !Numbers(n, "axes", 1, &axes)) return false;
    const int64_t rank = Rank(n, 0) + (grows ? 1 : -1) * std::ssize(axes);
    return SpareAll(axes, grows ? rank : Rank(n, 0)) && Put(n, rank);
  }
  bool Gemm(const PlanNode& n) {
    const Tensor* c = Constant(n, 2);
    return n.node.Int("transA", 0) == 0 && (!c || c->rank() < 2 || c->dim(0) == 1) && Same(n);
  }
  bool MatMul(const PlanNode& n) {
    if (const Tensor* b = Constant(n, 1)) return b->rank() == 2 && Rank(n, 0) >= 2 && Same(n);
    return Rank(n, 0) >= 3 && Rank(n, 0) == Rank(n, 1) && Put(n, Rank(n, 0));
  }
  bool Slice(const PlanNode& n) {
    std::vector<int64_t> axes;
    return Numbers(n, "axes", 3, &axes) && SpareAll(axes, Rank(n, 0)) && Same(n);
  }
  bool Pad(const PlanNode& n) {
    std::vector<int64_t> pads;
    if (Given(n, 3) || !Numbers(n, "pads", 1, &pads)) return false;
    const auto rank = Rank(n, 0);
    return std::ssize(pads) == 2 * rank && pads[0] == 0 && pads[static_cast<size_t>(rank)] == 0 &&
           Same(n);
  }
  bool Gather(const PlanNode& n) {
    if (const Tensor* table = Constant(n, 0))  // an embedding
      return n.node.Int("axis", 0) == 0 && Rank(n, 1) > 0 && Put(n, Rank(n, 1) + table->rank() - 1);
    const Tensor* index = Constant(n, 1);
    return index && Spares(n.node.Int("axis", 0), Rank(n, 0)) &&
           Put(n, Rank(n, 0) - 1 + index->rank());
  }
  bool Resize(const PlanNode& n) {
    const size_t at = n.node.op_type == "Upsample" || n.opset < 11 ? 1 : 2;
    const Tensor* scales = Constant(n, at);
    return scales && scales->dtype() == DType::kFloat && scales->size() == Rank(n, 0) &&
           scales->data<float>()[0] == 1 && !n.node.FindAttribute("axes") && Same(n);
  }

  using Rule = bool (Judge::*)(const PlanNode&);
  static const std::map<std::string, Rule>& Rules();

  const Plan& plan_;
  std::vector<int64_t> rank_;
};

const std::map<std::string, Judge::Rule>& Judge::Rules() {
  static const std::map<std::string, Rule> rules = [] {
    std::map<std::string, Rule> map;
    for (const char* op :
         {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
          "LRN", "InstanceNormalization", "GroupNormalization", "DepthToSpace", "SpaceToDepth",
          "PRelu", "Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Elu",
          "Selu", "Celu", "Erf", "Gelu", "Exp", "Log", "Sqrt", "Abs", "Neg", "Reciprocal",
          "Softplus", "Softsign", "Mish", "Swish", "Identity", "Cast", "Floor", "Ceil", "Round",
          "ThresholdedRelu", "Not", "LpPool"})
      map[op] = &Judge::Same;
    for (const char* op : {"Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Where", "Equal",
                           "Less", "Greater", "And", "Or"})
      map[op] = &Judge::Broadcast;
    for (const char* op : {"Softmax", "LogSoftmax", "LayerNormalization", "RMSNormalization",
                           "Split"})
      map[op] = &Judge::Axis;
    for (const char* op : {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2"})
      map[op] = &Judge::Reduce;
    map.insert({{"BatchNormalization", &Judge::Training},
                {"Concat", &Judge::Concat},
                {"Flatten", &Judge::Flatten},
                {"Gather", &Judge::Gather},
                {"Gemm", &Judge::Gemm},
                {"MatMul", &Judge::MatMul},
                {"Pad", &Judge::Pad},
                {"Reshape", &Judge::Reshape},
                {"Resize", &Judge::Resize},
                {"Slice", &Judge::Slice},
                {"Squeeze", &Judge::Squeeze},
                {"Transpose", &Judge::Transpose},
                {"Unsqueeze", &Judge::Squeeze},
                {"Upsample", &Judge::Resize}});
    return map;
  }();
  return rules;
}

}  // namespace

bool SamplesAreIndependent(const Plan& plan) { return Judge(plan).Run(); }

}  // namespace roundel::engine
