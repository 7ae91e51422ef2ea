#include "lib/engine/sample_rules.h"

#include <algorithm>
#include <map>
#include <string>

#include "lib/graph/operators.h"

namespace roundel::engine {
namespace {

// Whether `axis` is not the sample axis.
bool IsNotSampleAxis(int64_t axis, int64_t rank) { return axis != 0 && axis != -rank; }
bool ExcludeSampleAxis(const std::vector<int64_t>& axes, int64_t rank) {
  return std::all_of(axes.begin(), axes.end(), [&](int64_t a) { return IsNotSampleAxis(a, rank); });
}

bool Expand(SampleFacts& s, const PlanNode& n) {
  const auto sizes = s.SizesAt(n, 1);
  if (!sizes || sizes->empty() || HaveSamples(*sizes, 1)) return false;
  const int64_t rank = std::ssize(*sizes);
  if (s.CommonAt(n, 0)) return AreOfBatch(sizes) && s.Fits(n, 0, rank) && s.Put(n, rank);
  return s.Rank(n, 0) == rank && (sizes->front() == kSamples || sizes->front() == 1) &&
         s.Put(n, rank);
}
bool Fill(SampleFacts& s, const PlanNode& n) {
  const auto sizes = s.SizesAt(n, 0);
  return AreOfBatch(sizes) && s.Put(n, std::ssize(*sizes));
}

// Treats each element or each sample independently and keeps the rank; the other inputs are common.
bool Same(SampleFacts& s, const PlanNode& n) { return s.RestCommon(n) && s.Put(n, s.Rank(n, 0)); }
bool Training(SampleFacts& s, const PlanNode& n) {
  return n.node.Int("training_mode", 0) == 0 && n.outputs.size() == 1 && n.inputs.size() <= 5 &&
         Same(s, n);
}
// Numpy broadcasting: axis 0 must stay in place.
bool Broadcast(SampleFacts& s, const PlanNode& n) {
  if (n.opset < 7) return false;  // the second operand may be aligned at an attribute `axis`
  int64_t rank = SampleFacts::kUnknown;
  for (size_t i = 0; i < n.inputs.size(); ++i)
    if (!s.CommonAt(n, i)) {
      if (s.Rank(n, i) <= 0 || (rank > 0 && s.Rank(n, i) != rank)) return false;
      rank = s.Rank(n, i);
    }
  for (size_t i = 0; i < n.inputs.size(); ++i)
    if (s.CommonAt(n, i) && !s.Fits(n, i, rank)) return false;
  return s.Put(n, rank);
}
// One pair of parameters, or one per index of an axis that is not the sample axis.
bool Quantizer(SampleFacts& s, const PlanNode& n) {
  const Tensor* scale = s.Constant(n, 1);
  return scale && (scale->size() == 1 || IsNotSampleAxis(n.node.Int("axis", 1), s.Rank(n, 0))) &&
         Same(s, n);
}
// a, scale, zero point, b, scale, zero point, ...: two batches of the same rank.
bool CodesOfTwo(SampleFacts& s, const PlanNode& n) {
  for (size_t i = 0; i < n.inputs.size(); ++i)
    if (i != 0 && i != 3 && s.Given(n, i) && !s.Constant(n, i)) return false;
  return s.Rank(n, 0) > 0 && s.Rank(n, 0) == s.Rank(n, 3) && s.Put(n, s.Rank(n, 0));
}
bool Concat(SampleFacts& s, const PlanNode& n) {
  const int64_t rank = s.Rank(n, 0);
  for (size_t i = 0; i < n.inputs.size(); ++i)
    if (s.Rank(n, i) != rank) return false;
  return IsNotSampleAxis(n.node.Int("axis", 0), rank) && s.Put(n, rank);
}
// Softmax, Split and other operators along one axis.
bool Axis(SampleFacts& s, const PlanNode& n) {
  const int64_t fallback = n.node.op_type == "Split" ? 0 : n.opset < 13 ? 1 : -1;
  return IsNotSampleAxis(n.node.Int("axis", fallback), s.Rank(n, 0)) && Same(s, n);
}
bool Flatten(SampleFacts& s, const PlanNode& n) {
  return n.node.Int("axis", 1) == 1 && s.Rank(n, 0) > 0 && s.Put(n, 2);
}
bool Reshape(SampleFacts& s, const PlanNode& n) {
  const auto dims = s.SizesAt(n, 1);
  if (!dims || dims->empty() || s.Rank(n, 0) <= 0) return false;
  const bool keeps = (*dims)[0] == 0 && n.node.Int("allowzero", 0) == 0;
  // With -1 in front, a row of the result is a part of a sample, or the last sizes contain the
  // samples.
  const bool open = (*dims)[0] == -1 || (*dims)[0] == kSamples;
  return (keeps || open) && !HaveSamples(*dims, 1) && s.Put(n, std::ssize(*dims));
}
bool Transpose(SampleFacts& s, const PlanNode& n) {
  const std::vector<int64_t> order = n.node.Ints("perm");
  return !order.empty() && order[0] == 0 && Same(s, n);
}
bool Reduce(SampleFacts& s, const PlanNode& n) {
  std::vector<int64_t> axes;
  const int64_t rank = s.Rank(n, 0);
  if (!s.Numbers(n, "axes", 1, &axes) || axes.empty() || !ExcludeSampleAxis(axes, rank))
    return false;
  const bool keep = n.node.Int("keepdims", 1) != 0;
  return s.RestCommon(n) && s.Put(n, keep ? rank : rank - std::ssize(axes));
}
bool Squeeze(SampleFacts& s, const PlanNode& n) {
  std::vector<int64_t> axes;
  const bool grows = n.node.op_type == "Unsqueeze";
  if (s.Rank(n, 0) <= 0 || !s.Numbers(n, "axes", 1, &axes)) return false;
  const int64_t rank = s.Rank(n, 0) + (grows ? 1 : -1) * std::ssize(axes);
  return ExcludeSampleAxis(axes, grows ? rank : s.Rank(n, 0)) && s.Put(n, rank);
}
bool Gemm(SampleFacts& s, const PlanNode& n) {
  return n.node.Int("transA", 0) == 0 && (!s.Given(n, 2) || s.Fits(n, 2, 2)) && Same(s, n);
}
bool MatMul(SampleFacts& s, const PlanNode& n) {
  const auto a = s.CommonAt(n, 0), b = s.CommonAt(n, 1);
  if (b && b->dims.size() == 2) return s.Rank(n, 0) >= 2 && s.Put(n, s.Rank(n, 0));
  const int64_t rank = s.Rank(n, b ? 0 : 1);
  const bool fits = a   ? a->dims.size() >= 2 && s.Fits(n, 0, rank)
                    : b ? b->dims.size() >= 2 && s.Fits(n, 1, rank)
                        : s.Rank(n, 0) == rank;
  return rank >= 3 && fits && s.Put(n, rank);
}
// A slice of all samples is permitted even if their axis is given: some converters give every axis.
bool Slice(SampleFacts& s, const PlanNode& n) {
  std::vector<int64_t> axes, starts, ends, steps;
  const int64_t rank = s.Rank(n, 0);
  if (rank <= 0 || !s.RestCommon(n) || !s.Numbers(n, "axes", 3, &axes)) return false;
  constexpr int64_t kBeyond = 1'000'000'000;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (IsNotSampleAxis(axes[i], rank)) continue;
    steps.assign(axes.size(), 1);
    if (!s.Numbers(n, "starts", 1, &starts) || !s.Numbers(n, "ends", 2, &ends) ||
        (s.Given(n, 4) && !s.Numbers(n, "steps", 4, &steps)))
      return false;
    if (std::min({starts.size(), ends.size(), steps.size()}) <= i) return false;
    if (starts[i] != 0 || ends[i] < kBeyond || steps[i] != 1) return false;
  }
  return s.Put(n, rank);
}
bool Pad(SampleFacts& s, const PlanNode& n) {
  std::vector<int64_t> pads;
  if (s.Given(n, 3) || !s.Numbers(n, "pads", 1, &pads)) return false;
  const auto rank = s.Rank(n, 0);
  return std::ssize(pads) == 2 * rank && pads[0] == 0 && pads[static_cast<size_t>(rank)] == 0 &&
         Same(s, n);
}
bool Gather(SampleFacts& s, const PlanNode& n) {
  if (const auto table = s.CommonAt(n, 0))  // an embedding
    return n.node.Int("axis", 0) == 0 && s.Rank(n, 1) > 0 &&
           s.Put(n, s.Rank(n, 1) + std::ssize(table->dims) - 1);
  const auto index = s.CommonAt(n, 1);
  return index && s.Rank(n, 0) > 0 && IsNotSampleAxis(n.node.Int("axis", 0), s.Rank(n, 0)) &&
         s.Put(n, s.Rank(n, 0) - 1 + std::ssize(index->dims));
}
// The index has the rank of the data.
bool GatherElements(SampleFacts& s, const PlanNode& n) {
  return s.Rank(n, 0) > 0 && s.Rank(n, 1) == s.Rank(n, 0) &&
         IsNotSampleAxis(n.node.Int("axis", 0), s.Rank(n, 0)) && s.Put(n, s.Rank(n, 0));
}
bool ArgMax(SampleFacts& s, const PlanNode& n) {
  const int64_t rank = s.Rank(n, 0);
  return rank > 0 && IsNotSampleAxis(n.node.Int("axis", 0), rank) &&
         s.Put(n, n.node.Int("keepdims", 1) != 0 ? rank : rank - 1);
}
bool CumSum(SampleFacts& s, const PlanNode& n) {
  const auto axis = s.SizesAt(n, 1);
  return axis && axis->size() == 1 && axis->front() > kOther &&
         IsNotSampleAxis(axis->front(), s.Rank(n, 0)) && s.Put(n, s.Rank(n, 0));
}
bool Trilu(SampleFacts& s, const PlanNode& n) { return s.Rank(n, 0) >= 3 && Same(s, n); }
bool Tile(SampleFacts& s, const PlanNode& n) {
  const auto times = s.SizesAt(n, 1);
  return times && std::ssize(*times) == s.Rank(n, 0) && times->front() == 1 &&
         !HaveSamples(*times) && s.Put(n, s.Rank(n, 0));
}
bool Resize(SampleFacts& s, const PlanNode& n) {
  if (s.Given(n, 3) && n.opset >= 11 && !s.Given(n, 2)) {
    const auto sizes = s.SizesAt(n, 3);
    return !s.Constant(n, 3) && std::ssize(sizes.value_or(Sizes{})) == s.Rank(n, 0) &&
           AreOfBatch(sizes) && !n.node.FindAttribute("axes") && s.Put(n, s.Rank(n, 0));
  }
  const size_t at = n.node.op_type == "Upsample" || n.opset < 11 ? 1 : 2;
  const Tensor* scales = s.Constant(n, at);
  return scales && scales->dtype() == DType::kFloat && scales->size() == s.Rank(n, 0) &&
         scales->data<float>()[0] == 1 && !n.node.FindAttribute("axes") && Same(s, n);
}

using Rule = bool (*)(SampleFacts&, const PlanNode&);

const std::map<std::string, Rule>& Rules() {
  static const std::map<std::string, Rule> rules = {
      {"ArgMax", ArgMax},
      {"ArgMin", ArgMax},
      {"BatchNormalization", Training},
      {"Concat", Concat},
      {"ConstantOfShape", Fill},
      {"CumSum", CumSum},
      {"DequantizeLinear", Quantizer},
      {"Expand", Expand},
      {"Flatten", Flatten},
      {"Gather", Gather},
      {"GatherElements", GatherElements},
      {"Gemm", Gemm},
      {"MatMul", MatMul},
      {"Pad", Pad},
      {"QuantizeLinear", Quantizer},
      {"com.microsoft.DequantizeLinear", Quantizer},
      {"com.microsoft.QGemm", Gemm},
      {"com.microsoft.QLinearAdd", CodesOfTwo},
      {"com.microsoft.QLinearMul", CodesOfTwo},
      {"com.microsoft.QuantizeLinear", Quantizer},
      {"Reshape", Reshape},
      {"Resize", Resize},
      {"Slice", Slice},
      {"Squeeze", Squeeze},
      {"Tile", Tile},
      {"Transpose", Transpose},
      {"Trilu", Trilu},
      {"Unsqueeze", Squeeze},
      {"Upsample", Resize},
  };
  return rules;
}

}  // namespace

bool KeepsSamplesApart(SampleFacts& s, const PlanNode& n) {
  if (graph::Has(n.node, graph::Fact::kBroadcasts)) return Broadcast(s, n);
  const graph::OperatorRow* row = graph::FindOperator(n.node.domain, n.node.op_type);
  switch (row ? row->samples : graph::Samples::kOwnRule) {
    case graph::Samples::kApart: return Same(s, n);
    case graph::Samples::kAxis: return Axis(s, n);
    case graph::Samples::kReduces: return Reduce(s, n);
    case graph::Samples::kOwnRule: break;
  }
  const auto& rules = Rules();
  const auto rule =
      rules.find(n.node.domain.empty() ? n.node.op_type : n.node.domain + "." + n.node.op_type);
  return rule != rules.end() && rule->second(s, n);
}

}  // namespace roundel::engine
