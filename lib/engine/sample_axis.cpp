#include "lib/engine/sample_axis.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/text.h"
#include "lib/engine/common_values.h"
#include "lib/engine/plan_builder.h"
#include "lib/engine/sample_sizes.h"
#include "lib/graph/operators.h"

namespace roundel::engine {
namespace {

// Values are common to all samples (constants, positions, masks of one for all), batches of a known
// rank whose axis 0 counts samples, or sizes: small vectors of integers made from shapes.
class Judge {
 public:
  explicit Judge(const Plan& plan)
      : plan_(plan),
        rank_(plan.slots.size(), kUnknown),
        sizes_(plan.slots.size()),
        common_(plan.slots.size()) {}

  SampleJudgement Run() {
    SampleJudgement judgement{.reason = Problem()};
    judgement.independent = judgement.reason.empty();
    judgement.first_axis_is_walked = walked_;
    return judgement;
  }

 private:
  static constexpr int64_t kUnknown = -1;

  std::string Problem() {
    if (plan_.inputs.empty()) return "the model has no inputs";
    for (size_t i = 0; i < plan_.inputs.size(); ++i) {
      const graph::ValueInfo& input = plan_.inputs[i];
      if (!input.shape || input.shape->empty() || input.shape->front().value)
        return StrCat("input '", input.name, "' has no open first axis");
      rank_[plan_.input_slots[i]] = static_cast<int64_t>(input.shape->size());
    }
    for (const PlanNode& node : plan_.nodes)
      if (!Visit(node)) {
        walked_ = Walks(node);
        return StrCat(node.node.name.empty() ? "" : "node ", node.node.DisplayName());
      }
    for (size_t i = 0; i < plan_.output_slots.size(); ++i)
      if (rank_[plan_.output_slots[i]] <= 0)
        return StrCat("output '", plan_.output_names[i], "' has no sample axis");
    return "";
  }

  // Whether a node that was refused has axis 0 of a batch for a sequence, whose steps belong
  // together.
  bool Walks(const PlanNode& n) const {
    if (Rank(n, 0) <= 0) return false;
    const std::string& op = n.node.op_type;
    if (op == "LSTM" || op == "GRU" || op == "RNN") return n.node.Int("layout", 0) == 0;
    if (op == "Softmax" || op == "LogSoftmax" || op == "CumSum") return true;
    std::vector<int64_t> axes;
    if (op == "Unsqueeze") return Numbers(n, "axes", 1, &axes);
    return op.starts_with("Reduce") && Numbers(n, "axes", 1, &axes);
  }

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
  bool RestCommon(const PlanNode& n, size_t from = 1) const {
    for (size_t i = from; i < n.inputs.size(); ++i)
      if (Given(n, i) && !CommonAt(n, i)) return false;
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
    if (!n.subgraphs.empty()) return false;
    if (n.node.domain.empty() && (MakesSizes(n) || MakesCommon(n))) return true;
    if (graph::Has(n.node, graph::Fact::kBroadcasts)) return Broadcast(n);
    const graph::OperatorRow* row = graph::FindOperator(n.node.domain, n.node.op_type);
    switch (row ? row->samples : graph::Samples::kOwnRule) {
      case graph::Samples::kApart: return Same(n);
      case graph::Samples::kAxis: return Axis(n);
      case graph::Samples::kReduces: return Reduce(n);
      case graph::Samples::kOwnRule: break;
    }
    const auto& rules = Rules();
    const auto rule =
        rules.find(n.node.domain.empty() ? n.node.op_type : n.node.domain + "." + n.node.op_type);
    return rule != rules.end() && (this->*rule->second)(n);
  }

  // ---- sizes

  std::optional<RankedSizes> RankedSizesAt(const PlanNode& n, size_t i) const {
    if (!Given(n, i)) return std::nullopt;
    const Tensor* constant = Constant(n, i);
    if (!constant) return sizes_[static_cast<size_t>(n.inputs[i])];
    if (!IsInteger(constant->dtype()) || constant->rank() > 1 || constant->size() > kMostSizes)
      return std::nullopt;
    return RankedSizes{constant->ToInt64s(), constant->rank()};
  }
  std::optional<Sizes> SizesAt(const PlanNode& n, size_t i) const {
    const auto sizes = RankedSizesAt(n, i);
    return sizes ? std::optional(sizes->numbers) : std::nullopt;
  }
  // Nodes that read shapes, or compute with what was read of them.
  bool MakesSizes(const PlanNode& n) {
    std::optional<RankedSizes> made;
    const auto common = CommonAt(n, 0);
    if (n.node.op_type == "Shape" && Rank(n, 0) > 0) {
      Sizes shape(static_cast<size_t>(Rank(n, 0)), kOther);
      shape.front() = kSamples;
      made = RankedSizes{ShapePart(n.node, shape)};
    } else if (n.node.op_type == "Shape" && common) {
      made = RankedSizes{ShapePart(n.node, common->dims)};
    } else {
      std::vector<std::optional<RankedSizes>> inputs;
      bool any = false;  // that is no constant; what steers a Reshape is none of its values
      for (size_t i = 0; i < n.inputs.size(); ++i) {
        inputs.push_back(RankedSizesAt(n, i));
        any |= inputs.back() && !Constant(n, i) && (i == 0 || n.node.op_type != "Reshape");
      }
      if (any) made = ComputeSizes(n.node, inputs);
    }
    if (made && n.outputs[0] != kNoSlot) sizes_[static_cast<size_t>(n.outputs[0])] = made;
    return made.has_value();
  }

  // ---- what all samples have in common

  std::optional<Common> CommonAt(const PlanNode& n, size_t i) const {
    if (!Given(n, i)) return std::nullopt;
    const auto sizes = SizesAt(n, i);
    if (const Tensor* constant = Constant(n, i)) return Common{constant->shape(), sizes};
    if (!sizes) return common_[static_cast<size_t>(n.inputs[i])];
    if (HaveSamples(*sizes)) return std::nullopt;
    const bool scalar = RankedSizesAt(n, i)->rank == 0;
    return Common{scalar ? Sizes{} : Sizes{std::ssize(*sizes)}, sizes};
  }
  bool MakesCommon(const PlanNode& n) {
    if (n.opset < 7 || n.outputs.empty() || n.outputs[0] == kNoSlot) return false;
    std::vector<std::optional<Common>> inputs;
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      inputs.push_back(CommonAt(n, i));
      if (Given(n, i) && !inputs.back()) return false;
    }
    auto dims = CommonDims(n.node, inputs);
    if (!dims) return false;
    common_[static_cast<size_t>(n.outputs[0])] = Common{std::move(*dims), {}};
    return true;
  }
  // Whether a common value stays common when it is broadcast along a batch of this rank.
  bool Fits(const PlanNode& n, size_t i, int64_t rank) const {
    const auto common = CommonAt(n, i);
    if (!common) return false;
    const int64_t own = std::ssize(common->dims);
    return own < rank || (own == rank && common->dims[0] == 1);
  }
  bool Expand(const PlanNode& n) {
    const auto sizes = SizesAt(n, 1);
    if (!sizes || sizes->empty() || HaveSamples(*sizes, 1)) return false;
    const int64_t rank = std::ssize(*sizes);
    if (CommonAt(n, 0)) return AreOfBatch(sizes) && Fits(n, 0, rank) && Put(n, rank);
    return Rank(n, 0) == rank && (sizes->front() == kSamples || sizes->front() == 1) &&
           Put(n, rank);
  }
  bool Fill(const PlanNode& n) {
    const auto sizes = SizesAt(n, 0);
    return AreOfBatch(sizes) && Put(n, std::ssize(*sizes));
  }

  // ---- values

  // Every element by itself, or every sample by itself at the same rank; other inputs constant.
  bool Same(const PlanNode& n) { return RestCommon(n) && Put(n, Rank(n, 0)); }
  bool Training(const PlanNode& n) {
    return n.node.Int("training_mode", 0) == 0 && n.outputs.size() == 1 && n.inputs.size() <= 5 &&
           Same(n);
  }
  // Numpy broadcasting: axis 0 must stay where it is.
  bool Broadcast(const PlanNode& n) {
    if (n.opset < 7) return false;  // may name the axis at which the second operand starts
    int64_t rank = kUnknown;
    for (size_t i = 0; i < n.inputs.size(); ++i)
      if (!CommonAt(n, i)) {
        if (Rank(n, i) <= 0 || (rank > 0 && Rank(n, i) != rank)) return false;
        rank = Rank(n, i);
      }
    for (size_t i = 0; i < n.inputs.size(); ++i)
      if (CommonAt(n, i) && !Fits(n, i, rank)) return false;
    return Put(n, rank);
  }
  // One pair of parameters, or one for each place along an axis that is not the samples'.
  bool Quantizer(const PlanNode& n) {
    const Tensor* scale = Constant(n, 1);
    return scale && (scale->size() == 1 || Spares(n.node.Int("axis", 1), Rank(n, 0))) && Same(n);
  }
  // a, scale, zero point, b, scale, zero point, ...: two batches of the same rank.
  bool CodesOfTwo(const PlanNode& n) {
    for (size_t i = 0; i < n.inputs.size(); ++i)
      if (i != 0 && i != 3 && Given(n, i) && !Constant(n, i)) return false;
    return Rank(n, 0) > 0 && Rank(n, 0) == Rank(n, 3) && Put(n, Rank(n, 0));
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
  bool Flatten(const PlanNode& n) {
    return n.node.Int("axis", 1) == 1 && Rank(n, 0) > 0 && Put(n, 2);
  }
  bool Reshape(const PlanNode& n) {
    const auto dims = SizesAt(n, 1);
    if (!dims || dims->empty() || Rank(n, 0) <= 0) return false;
    const bool keeps = (*dims)[0] == 0 && n.node.Int("allowzero", 0) == 0;
    // With -1 in front, rows of the result are parts of samples, or else the last sizes must show
    // it.
    const bool open = (*dims)[0] == -1 || (*dims)[0] == kSamples;
    return (keeps || open) && !HaveSamples(*dims, 1) && Put(n, std::ssize(*dims));
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
    return RestCommon(n) && Put(n, keep ? rank : rank - std::ssize(axes));
  }
  bool Squeeze(const PlanNode& n) {
    std::vector<int64_t> axes;
    const bool grows = n.node.op_type == "Unsqueeze";
    if (Rank(n, 0) <= 0 || !Numbers(n, "axes", 1, &axes)) return false;
    const int64_t rank = Rank(n, 0) + (grows ? 1 : -1) * std::ssize(axes);
    return SpareAll(axes, grows ? rank : Rank(n, 0)) && Put(n, rank);
  }
  bool Gemm(const PlanNode& n) {
    return n.node.Int("transA", 0) == 0 && (!Given(n, 2) || Fits(n, 2, 2)) && Same(n);
  }
  bool MatMul(const PlanNode& n) {
    const auto a = CommonAt(n, 0), b = CommonAt(n, 1);
    if (b && b->dims.size() == 2) return Rank(n, 0) >= 2 && Put(n, Rank(n, 0));
    const int64_t rank = Rank(n, b ? 0 : 1);
    const bool fits = a   ? a->dims.size() >= 2 && Fits(n, 0, rank)
                      : b ? b->dims.size() >= 2 && Fits(n, 1, rank)
                          : Rank(n, 0) == rank;
    return rank >= 3 && fits && Put(n, rank);
  }
  // The whole of the samples, if their axis is named, as converters that name every axis have it.
  bool Slice(const PlanNode& n) {
    std::vector<int64_t> axes, starts, ends, steps;
    const int64_t rank = Rank(n, 0);
    if (rank <= 0 || !RestCommon(n) || !Numbers(n, "axes", 3, &axes)) return false;
    constexpr int64_t kBeyond = 1'000'000'000;
    for (size_t i = 0; i < axes.size(); ++i) {
      if (Spares(axes[i], rank)) continue;
      steps.assign(axes.size(), 1);
      if (!Numbers(n, "starts", 1, &starts) || !Numbers(n, "ends", 2, &ends) ||
          (Given(n, 4) && !Numbers(n, "steps", 4, &steps)))
        return false;
      if (std::min({starts.size(), ends.size(), steps.size()}) <= i) return false;
      if (starts[i] != 0 || ends[i] < kBeyond || steps[i] != 1) return false;
    }
    return Put(n, rank);
  }
  bool Pad(const PlanNode& n) {
    std::vector<int64_t> pads;
    if (Given(n, 3) || !Numbers(n, "pads", 1, &pads)) return false;
    const auto rank = Rank(n, 0);
    return std::ssize(pads) == 2 * rank && pads[0] == 0 && pads[static_cast<size_t>(rank)] == 0 &&
           Same(n);
  }
  bool Gather(const PlanNode& n) {
    if (const auto table = CommonAt(n, 0))  // an embedding
      return n.node.Int("axis", 0) == 0 && Rank(n, 1) > 0 &&
             Put(n, Rank(n, 1) + std::ssize(table->dims) - 1);
    const auto index = CommonAt(n, 1);
    return index && Rank(n, 0) > 0 && Spares(n.node.Int("axis", 0), Rank(n, 0)) &&
           Put(n, Rank(n, 0) - 1 + std::ssize(index->dims));
  }
  // One place each for what an index of the same rank names.
  bool GatherElements(const PlanNode& n) {
    return Rank(n, 0) > 0 && Rank(n, 1) == Rank(n, 0) &&
           Spares(n.node.Int("axis", 0), Rank(n, 0)) && Put(n, Rank(n, 0));
  }
  bool ArgMax(const PlanNode& n) {
    const int64_t rank = Rank(n, 0);
    return rank > 0 && Spares(n.node.Int("axis", 0), rank) &&
           Put(n, n.node.Int("keepdims", 1) != 0 ? rank : rank - 1);
  }
  bool CumSum(const PlanNode& n) {
    const auto axis = SizesAt(n, 1);
    return axis && axis->size() == 1 && axis->front() > kOther &&
           Spares(axis->front(), Rank(n, 0)) && Put(n, Rank(n, 0));
  }
  bool Trilu(const PlanNode& n) { return Rank(n, 0) >= 3 && Same(n); }
  bool Tile(const PlanNode& n) {
    const auto times = SizesAt(n, 1);
    return times && std::ssize(*times) == Rank(n, 0) && times->front() == 1 &&
           !HaveSamples(*times) && Put(n, Rank(n, 0));
  }
  bool Resize(const PlanNode& n) {
    if (Given(n, 3) && n.opset >= 11 && !Given(n, 2)) {
      const auto sizes = SizesAt(n, 3);
      return !Constant(n, 3) && std::ssize(sizes.value_or(Sizes{})) == Rank(n, 0) &&
             AreOfBatch(sizes) && !n.node.FindAttribute("axes") && Put(n, Rank(n, 0));
    }
    const size_t at = n.node.op_type == "Upsample" || n.opset < 11 ? 1 : 2;
    const Tensor* scales = Constant(n, at);
    return scales && scales->dtype() == DType::kFloat && scales->size() == Rank(n, 0) &&
           scales->data<float>()[0] == 1 && !n.node.FindAttribute("axes") && Same(n);
  }

  using Rule = bool (Judge::*)(const PlanNode&);
  static const std::map<std::string, Rule>& Rules();

  const Plan& plan_;
  std::vector<int64_t> rank_;
  std::vector<std::optional<RankedSizes>> sizes_;  // by slot
  std::vector<std::optional<Common>> common_;      // by slot; not constants, nor sizes
  bool walked_ = false;
};

const std::map<std::string, Judge::Rule>& Judge::Rules() {
  static const std::map<std::string, Rule> rules = {
      {"ArgMax", &Judge::ArgMax},
      {"ArgMin", &Judge::ArgMax},
      {"BatchNormalization", &Judge::Training},
      {"Concat", &Judge::Concat},
      {"ConstantOfShape", &Judge::Fill},
      {"CumSum", &Judge::CumSum},
      {"DequantizeLinear", &Judge::Quantizer},
      {"Expand", &Judge::Expand},
      {"Flatten", &Judge::Flatten},
      {"Gather", &Judge::Gather},
      {"GatherElements", &Judge::GatherElements},
      {"Gemm", &Judge::Gemm},
      {"MatMul", &Judge::MatMul},
      {"Pad", &Judge::Pad},
      {"QuantizeLinear", &Judge::Quantizer},
      {"com.microsoft.DequantizeLinear", &Judge::Quantizer},
      {"com.microsoft.QGemm", &Judge::Gemm},
      {"com.microsoft.QLinearAdd", &Judge::CodesOfTwo},
      {"com.microsoft.QLinearMul", &Judge::CodesOfTwo},
      {"com.microsoft.QuantizeLinear", &Judge::Quantizer},
      {"Reshape", &Judge::Reshape},
      {"Resize", &Judge::Resize},
      {"Slice", &Judge::Slice},
      {"Squeeze", &Judge::Squeeze},
      {"Tile", &Judge::Tile},
      {"Transpose", &Judge::Transpose},
      {"Trilu", &Judge::Trilu},
      {"Unsqueeze", &Judge::Squeeze},
      {"Upsample", &Judge::Resize},
  };
  return rules;
}

}  // namespace

SampleJudgement JudgeSamples(const Plan& plan) { return Judge(plan).Run(); }

Result<SampleJudgement> JudgeSamples(const graph::Model& model) {
  ASSIGN_OR_RETURN(const Plan plan, BuildPlan(model, {.fast_kernels = false}));
  return JudgeSamples(plan);
}

}  // namespace roundel::engine
