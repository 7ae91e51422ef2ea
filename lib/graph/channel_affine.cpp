#include "lib/graph/channel_affine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "lib/base/text.h"
#include "lib/graph/match.h"
#include "lib/graph/weight_scaling.h"

namespace roundel::graph {
namespace {

// The constant operand of an element-wise node after `layer`, as one value per output channel;
// nullopt if it varies along another axis or adds axes.
std::optional<std::vector<double>> PerChannel(const Graph& graph, const Tensor& constant,
                                              const WeightedLayer& layer) {
  const int64_t channels = layer.out_channels(), size = constant.size();
  if (!IsFloating(constant.dtype()) || (size != 1 && size != channels)) return std::nullopt;
  const auto rank =
      IsConvolution(layer) ? graph.Constant(layer.weight())->rank() : RankOf(graph, layer.output());
  // Counted from the end, as broadcasting does: NC.. of a convolution, the last of a product.
  const int64_t from_end = IsConvolution(layer) ? *rank - 1 : 1;
  if (constant.rank() > (rank ? *rank : 1)) return std::nullopt;
  if (size != 1 && (constant.rank() < from_end || constant.dim(-from_end) != channels))
    return std::nullopt;
  std::vector<double> values = ToDoubles(constant);
  if (!AllFinite(values)) return std::nullopt;
  if (size == 1) values.assign(static_cast<size_t>(channels), values[0]);
  return values;
}

}  // namespace

std::optional<ChannelAffine> NormAffine(std::span<const double> gamma, std::span<const double> beta,
                                        std::span<const double> mean,
                                        std::span<const double> variance, double epsilon) {
  ChannelAffine affine;
  for (size_t c = 0; c < gamma.size(); ++c) {
    if (!(variance[c] + epsilon > 0)) return std::nullopt;
    affine.scale.push_back(gamma[c] / std::sqrt(variance[c] + epsilon));
    affine.shift.push_back(beta[c] - mean[c] * affine.scale[c]);
    affine.mean.push_back(beta[c]);
    affine.deviation.push_back(std::fabs(gamma[c]));
  }
  return affine;
}

void Append(const ChannelAffine& after, std::vector<double>* scale, std::vector<double>* shift) {
  for (size_t c = 0; c < after.scale.size(); ++c) {
    (*scale)[c] *= after.scale[c];
    (*shift)[c] = after.scale[c] * (*shift)[c] + after.shift[c];
  }
}

std::string WhyTraining(const Node& node, int64_t opset) {
  if (node.Int("training_mode", 0) != 0) return "it is in training mode";
  if (opset < 7 && node.Int("is_test", 0) == 0) return "it is in training mode";
  if (node.Int("spatial", 1) == 0) return "it normalizes every position separately (spatial=0)";
  return "";
}

Result<std::vector<double>> ReadFinite(const Graph& graph, const std::string& name) {
  std::vector<double> values = ToDoubles(*graph.Constant(name));
  if (!AllFinite(values)) return ModelError(StrCat("tensor '", name, "' holds NaN or infinity"));
  return values;
}

Result<ChannelAffine> ReadBatchNorm(const Graph& graph, const Node& node) {
  ASSIGN_OR_RETURN(const auto gamma, ReadFinite(graph, node.input(1)));
  ASSIGN_OR_RETURN(const auto beta, ReadFinite(graph, node.input(2)));
  ASSIGN_OR_RETURN(const auto mean, ReadFinite(graph, node.input(3)));
  ASSIGN_OR_RETURN(const auto variance, ReadFinite(graph, node.input(4)));
  const double epsilon = node.Float("epsilon", 1e-5f);
  const size_t channels = gamma.size();
  if (beta.size() != channels || mean.size() != channels || variance.size() != channels)
    return ModelError("its parameters differ in size");
  auto affine = NormAffine(gamma, beta, mean, variance, epsilon);
  if (affine) return std::move(*affine);
  const double least = *std::min_element(variance.begin(), variance.end());
  return ModelError(StrCat("tensor '", node.input(4), "' holds the variance ", least,
                           ", which is not positive with epsilon ", epsilon));
}

std::optional<ChannelAffine> ReadElementwise(const Graph& graph, const Node& node,
                                             const WeightedLayer& layer) {
  const auto operand = FindConstantOperand(graph, node);
  if (!operand) return std::nullopt;
  const auto values = PerChannel(graph, *operand->constant, layer);
  if (!values) return std::nullopt;
  const bool constant_first = operand->constant_index == 0;
  ChannelAffine affine;
  affine.scale.assign(values->size(), 1);
  affine.shift.assign(values->size(), 0);
  for (size_t c = 0; c < values->size(); ++c) {
    const double value = (*values)[c];
    if (node.Is("Mul")) affine.scale[c] = value;
    if (node.Is("Div")) affine.scale[c] = 1 / value;
    if (node.Is("Add")) affine.shift[c] = value;
    if (node.Is("Sub")) affine.shift[c] = constant_first ? value : -value;
    if (node.Is("Sub") && constant_first) affine.scale[c] = -1;
  }
  if ((node.Is("Div") && constant_first) || !AllFinite(affine.scale)) return std::nullopt;
  return affine;
}

}  // namespace roundel::graph
