// NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss, which occur in exported training graphs.

#include <algorithm>
#include <cmath>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// Scores [N, C, d...] with labels [N, d...]: element (n, c, i) is at (n * classes + c) * inner + i.
struct LossShape {
  int64_t batch, classes, inner;
  Shape labels;
};

Result<LossShape> ResolveLoss(const OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireRank(context, 0, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 2}));
  const Tensor &scores = *context.input(0), &labels = *context.input(1);
  LossShape shape{scores.dim(0), scores.dim(1), Product(scores.shape(), 2, scores.rank()),
                  scores.shape()};
  shape.labels.erase(shape.labels.begin() + 1);
  const Tensor* weights = context.input(2);
  if (labels.shape() != shape.labels || (weights && weights->shape() != Shape{shape.classes}))
    return ModelError(StrCat("scores ", ShapeString(scores.shape()), ", labels ",
                             ShapeString(labels.shape()), weights ? " and weights " : "",
                             weights ? ShapeString(weights->shape()) : "", " do not fit"));
  return shape;
}

// The weighted loss of every label, reduced by the attribute `reduction`. `log_probability` has the
// shape of the scores.
Status StoreLoss(OpContext& context, const LossShape& shape, const Tensor& log_probability) {
  const graph::Node& node = context.node();
  const std::string reduction = node.String("reduction", "mean");
  if (reduction != "mean" && reduction != "sum" && reduction != "none")
    return ModelError(StrCat("there is no reduction '", reduction, "'"));
  const bool has_ignored = node.FindAttribute("ignore_index") != nullptr;
  const int64_t ignored = node.Int("ignore_index", 0);
  ASSIGN_OR_RETURN(const std::vector<int64_t> labels, IntegerInput(context, 1));
  const float* weights = context.input(2) ? context.input(2)->data<float>() : nullptr;
  const float* from = log_probability.data<float>();
  const bool single = reduction != "none";
  ASSIGN_OR_RETURN(Tensor * y,
                   NewOutput(context, 0, DType::kFloat, single ? Shape{} : shape.labels));
  float* to = y->mutable_data<float>();
  double total = 0, total_weight = 0;
  for (size_t k = 0; k < labels.size(); ++k) {
    double loss = 0;
    if (!has_ignored || labels[k] != ignored) {
      if (labels[k] < 0 || labels[k] >= shape.classes)
        return ModelError(StrCat("label ", labels[k], " with ", shape.classes, " classes"));
      const auto n = static_cast<int64_t>(k) / shape.inner,
                 i = static_cast<int64_t>(k) % shape.inner;
      const double weight = weights ? weights[labels[k]] : 1;
      loss = -weight * from[(n * shape.classes + labels[k]) * shape.inner + i];
      total_weight += weight;
    }
    total += loss;
    if (!single) to[k] = static_cast<float>(loss);
  }
  if (single) to[0] = static_cast<float>(reduction == "mean" ? total / total_weight : total);
  return OkStatus();
}

Status NegativeLogLikelihood(OpContext& context) {
  ASSIGN_OR_RETURN(const LossShape shape, ResolveLoss(context));
  return StoreLoss(context, shape, *context.input(0));
}

Status SoftmaxCrossEntropy(OpContext& context) {
  ASSIGN_OR_RETURN(const LossShape shape, ResolveLoss(context));
  const Tensor& scores = *context.input(0);
  Tensor log_probability = Tensor::Empty(DType::kFloat, scores.shape());
  const float* from = scores.data<float>();
  float* to = log_probability.mutable_data<float>();
  for (int64_t line = 0; line < shape.batch * shape.inner; ++line) {
    const int64_t start = line / shape.inner * shape.classes * shape.inner + line % shape.inner;
    double largest = -INFINITY, sum = 0;
    for (int64_t c = 0; c < shape.classes; ++c)
      largest = std::max<double>(largest, from[start + c * shape.inner]);
    for (int64_t c = 0; c < shape.classes; ++c)
      sum += std::exp(from[start + c * shape.inner] - largest);
    for (int64_t c = 0; c < shape.classes; ++c)
      to[start + c * shape.inner] =
          static_cast<float>(from[start + c * shape.inner] - largest - std::log(sum));
  }
  RETURN_IF_ERROR(StoreLoss(context, shape, log_probability));
  if (context.wants(1)) context.SetOutput(1, std::move(log_probability));
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> LossRows() {
  return {
      {"NegativeLogLikelihoodLoss", "", 12, kLatest, &ViaFloat<&NegativeLogLikelihood>},
      {"SoftmaxCrossEntropyLoss", "", 12, kLatest, &ViaFloat<&SoftmaxCrossEntropy>},
  };
}

}  // namespace roundel::engine
