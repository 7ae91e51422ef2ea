// Folding BatchNormalization and constant arithmetic into weights and bias, in double.

// The loops over weights need vectorization, which -O2 omits if the count is unknown.
#pragma GCC optimize("O3")

#include <algorithm>
#include <cmath>

#include "lib/base/vectorize.h"
#include "lib/engine/fusion.h"
#include "lib/graph/channel_affine.h"

namespace roundel::engine {
namespace {

bool HasInput(const PlanNode& node, size_t i) {
  return i < node.inputs.size() && node.inputs[i] != kNoSlot;
}

// Products with one factor, and with one factor per element.
ROUNDEL_VECTORIZE void Scale(const float* from, double factor, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i] * factor);
}
ROUNDEL_VECTORIZE void ScaleEach(const float* from, const double* factors, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i] * factors[i]);
}

}  // namespace

std::optional<LinearFold> LinearFold::Of(const Plan& plan, const PlanNode& node) {
  const Tensor* weights = FloatConstant(plan, node, 1);
  if (!weights || weights->rank() < 2 || weights->size() == 0) return std::nullopt;
  LinearFold fold;
  fold.weights_ = *weights;
  double weight_scale = 1, bias_scale = 1;
  const graph::Node& n = node.node;
  if (n.Is("Conv") || n.Is("ConvTranspose")) {
    if (weights->rank() < 3) return std::nullopt;
    fold.axis_ = n.Is("Conv") ? 0 : 1;
    fold.groups_ = n.Is("Conv") ? 1 : n.Int("group", 1);
    if (fold.groups_ < 1 || weights->dim(0) % fold.groups_ != 0) return std::nullopt;
    fold.trailing_ = weights->rank() - 2;
    fold.rank_ = weights->rank();
  } else {
    if (weights->rank() != 2) return std::nullopt;
    const bool gemm = n.Is("Gemm");
    fold.axis_ = gemm && n.Int("transB", 0) != 0 ? 0 : 1;
    fold.rank_ = gemm ? 2 : 0;
    weight_scale = gemm ? n.Float("alpha", 1) : 1;
    bias_scale = gemm ? n.Float("beta", 1) : 1;
  }
  const size_t channels = static_cast<size_t>(weights->dim(fold.axis_) * fold.groups_);
  fold.scale_.assign(channels, weight_scale);
  fold.scaled_ = weight_scale != 1;
  fold.shift_.assign(channels, 0.0);
  if (!HasInput(node, 2) || n.Is("MatMul")) return fold;
  const Tensor* bias = FloatConstant(plan, node, 2);
  if (!bias) return std::nullopt;
  if (!n.Is("Gemm") &&
      (bias->rank() != 1 || bias->size() != weights->dim(fold.axis_) * fold.groups_))
    return std::nullopt;
  if (n.Is("Gemm") && bias->rank() > 2) return std::nullopt;
  if (bias->size() != static_cast<int64_t>(channels) && bias->size() != 1) return std::nullopt;
  if (n.Is("Gemm") && bias->size() > 1 && bias->dim(-1) != bias->size()) return std::nullopt;
  for (size_t c = 0; c < channels; ++c)
    fold.shift_[c] = bias_scale * bias->data<float>()[bias->size() == 1 ? 0 : c];
  return fold;
}

bool LinearFold::Append(const Plan& plan, const PlanNode& node, size_t input) {
  if (node.node.Is("BatchNormalization")) return input == 0 && AppendBatchNorm(plan, node);
  return AppendConstant(plan, node, input);
}

bool LinearFold::AppendBatchNorm(const Plan& plan, const PlanNode& node) {
  if (rank_ == 0 || !graph::WhyTraining(node.node, node.opset).empty()) return false;
  for (size_t i = 1; i < node.outputs.size(); ++i)
    if (node.outputs[i] != kNoSlot) return false;
  std::vector<double> parameters[4];
  for (size_t i = 0; i < 4; ++i) {
    const Tensor* t = FloatConstant(plan, node, i + 1);
    if (!t || t->rank() != 1 || t->size() != static_cast<int64_t>(scale_.size())) return false;
    parameters[i] = graph::ToDoubles(*t);
  }
  const auto& [gamma, beta, mean, variance] = parameters;
  const auto affine =
      graph::NormAffine(gamma, beta, mean, variance, node.node.Float("epsilon", 1e-5f));
  if (!affine) return false;
  graph::Append(*affine, &scale_, &shift_);
  scaled_ = true;
  return true;
}

bool LinearFold::AppendConstant(const Plan& plan, const PlanNode& node, size_t input) {
  const std::string& op = node.node.op_type;
  if (!node.node.domain.empty() || node.opset < 7 || node.inputs.size() != 2) return false;
  if (op != "Add" && op != "Sub" && op != "Mul" && op != "Div") return false;
  const Tensor* constant = FloatConstant(plan, node, 1 - input);
  if (!constant) return false;
  const std::vector<double> values = ByChannel(*constant);
  if (values.empty() || (op == "Div" && input == 1)) return false;
  const double sign = op == "Sub" && input == 1 ? -1 : 1;  // constant - x
  for (size_t c = 0; c < scale_.size(); ++c) {
    const double v = values[values.size() == 1 ? 0 : c];
    if (op == "Mul" || op == "Div") {
      const double factor = op == "Mul" ? v : 1 / v;
      if (!std::isfinite(factor)) return false;
      scale_[c] *= factor;
      shift_[c] *= factor;
    } else {
      scale_[c] *= sign;
      shift_[c] = sign * shift_[c] + (op == "Sub" && input == 0 ? -v : v);
    }
  }
  scaled_ |= op == "Mul" || op == "Div" || sign < 0;
  min_rank_ = std::max(min_rank_, constant->rank());
  return true;
}

std::vector<double> LinearFold::ByChannel(const Tensor& operand) const {
  if (rank_ > 0 && operand.rank() > rank_) return {};
  if (operand.size() != 1) {
    const int64_t position = operand.rank() - 1 - trailing_;
    if (position < 0 || operand.dim(position) != operand.size()) return {};
    if (operand.size() != static_cast<int64_t>(scale_.size())) return {};
  }
  const std::span<const float> values = operand.span<float>();
  return {values.begin(), values.end()};
}

LinearWeights LinearFold::Weights() const {
  if (!scaled_) return weights_;
  return {weights_, [fold = *this](const Tensor& weights) { return fold.Scaled(weights); }};
}

Tensor LinearFold::Scaled(const Tensor& weights) const {
  Tensor scaled = Tensor::Empty(DType::kFloat, weights.shape());
  const float* from = weights.data<float>();
  float* to = scaled.mutable_data<float>();
  int64_t inner = 1;
  for (int64_t i = axis_ + 1; i < weights.rank(); ++i) inner *= weights.dim(i);
  const int64_t length = weights.dim(axis_), per_group = weights.dim(0) / groups_;
  const int64_t block = length * inner;
  for (int64_t o = 0; block > 0 && o < weights.size() / block; ++o) {
    // ConvTranspose weights are [C_in, M / groups, ...]: the input channel determines the group.
    const double* scale = scale_.data() + (groups_ == 1 ? 0 : o / per_group) * length;
    const int64_t begin = o * block;
    if (inner == 1) {
      ScaleEach(from + begin, scale, to + begin, length);
      continue;
    }
    for (int64_t i = 0; i < length; ++i)
      Scale(from + begin + i * inner, scale[i], to + begin + i * inner, inner);
  }
  return scaled;
}

Tensor LinearFold::Bias() const {
  bool any = false;
  for (double shift : shift_) any |= shift != 0;
  if (!any) return {};
  Tensor bias = Tensor::Empty(DType::kFloat, {static_cast<int64_t>(shift_.size())});
  float* to = bias.mutable_data<float>();
  for (size_t c = 0; c < shift_.size(); ++c) to[c] = static_cast<float>(shift_[c]);
  return bias;
}

}  // namespace roundel::engine
