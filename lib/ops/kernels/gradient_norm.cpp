// Gradients of normalizations over rows of n elements, y = xh * gamma + beta with xh = (x - mean) /
// sqrt(variance + epsilon), or xh = x / sqrt(mean of x^2 + epsilon) if not centered:
//
//   g = dY * gamma    dX = (g - mean(g) - xh * mean(g * xh)) / sqrt(...), without mean(g) if not centered
//   dGamma = sum of dY * xh    dBeta = sum of dY
//
// LayerNormGrad, RmsNormGrad, InstanceNormGrad, GroupNormGrad(dY, X, gamma, beta) -> dX, dGamma, dBeta.
#pragma GCC optimize("O3")

#include <algorithm>
#include <cmath>

#include "lib/ops/kernels/gradient.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/sums.h"

namespace roundel::engine {
namespace {

// Element i of row r has parameter (r % groups) * step + i / plane.
struct Rows {
  int64_t count = 0, n = 0;
  int64_t groups = 1, step = 0, plane = 1;
  int64_t parameters = 1;  // number of them
  bool centered = true;
  double epsilon = 1e-5;
};

struct RowSums {
  std::vector<double> gamma, beta;
};

void GradientOfRow(const Rows& rows, int64_t row, const float* dy, const float* x,
                   const float* gamma, float* dx, std::vector<double>* work, RowSums* sums) {
  const int64_t n = rows.n, first = row % rows.groups * rows.step;
  double mean = 0, square = 0;
  if (rows.centered) {
    const Moments m = MomentsOf(x, n);
    mean = m.mean;
    square = m.variance;
  } else {
    square = SumOf(x, n, [](double v) { return v * v; }) / static_cast<double>(n);
  }
  const double inverse = 1.0 / std::sqrt(square + rows.epsilon);
  double g_sum = 0, gx_sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t p = first + i / rows.plane;
    const double d = dy[i], xh = (static_cast<double>(x[i]) - mean) * inverse;
    const double g = gamma ? d * static_cast<double>(gamma[p]) : d;
    (*work)[i] = g;
    (*work)[n + i] = xh;
    g_sum += g;
    gx_sum += g * xh;
    sums->gamma[p] += d * xh;
    sums->beta[p] += d;
  }
  const double a = rows.centered ? g_sum / static_cast<double>(n) : 0;
  const double b = gx_sum / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i)
    dx[i] = static_cast<float>(inverse * ((*work)[i] - a - (*work)[n + i] * b));
}

Status Compute(OpContext& context, const Rows& rows) {
  const Tensor &dy = *context.input(0), &x = *context.input(1), *gamma = context.input(2);
  RETURN_IF_ERROR(RequireShape(context, 0, x.shape()));
  for (size_t i = 2; i < 4; ++i)
    if (context.input(i) && context.input(i)->size() != rows.parameters)
      return ModelError(StrCat("input ", i, " has shape ", ShapeString(context.input(i)->shape()),
                               ", ", rows.parameters, " values are needed for x ",
                               ShapeString(x.shape())));
  RowSums sums;
  ASSIGN_OR_RETURN(sums.gamma, NewSums({rows.parameters}));
  ASSIGN_OR_RETURN(sums.beta, NewSums({rows.parameters}));
  ASSIGN_OR_RETURN(std::vector<double> work, NewSums({2, rows.n}));
  Tensor dx = Tensor::Empty(DType::kFloat, x.shape());
  const float *d = dy.data<float>(), *from = x.data<float>();
  float* to = dx.mutable_data<float>();
  for (int64_t row = 0; row < rows.count; ++row)
    GradientOfRow(rows, row, d + row * rows.n, from + row * rows.n,
                  gamma ? gamma->data<float>() : nullptr, to + row * rows.n, &work, &sums);
  if (context.wants(0)) context.SetOutput(0, std::move(dx));
  if (gamma) RETURN_IF_ERROR(StoreSums(context, 1, gamma->shape(), sums.gamma));
  if (const Tensor* beta = context.input(3))
    RETURN_IF_ERROR(StoreSums(context, 2, beta->shape(), sums.beta));
  return OkStatus();
}

// Over the axes from `axis` to the last; the parameters have their shape, or are one number.
template <bool centered>
Status LayerNormGrad(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireRank(context, 1, 1));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2, 3}));
  const graph::Node& node = context.node();
  const Tensor& x = *context.input(1);
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(node.Int("axis", -1), x.rank()));
  Rows rows;
  rows.count = Product(x.shape(), 0, axis);
  rows.n = Product(x.shape(), axis, x.rank());
  rows.centered = centered;
  rows.epsilon = node.Float("epsilon", 1e-5f);
  const Tensor* gamma = context.input(2);
  if (gamma && gamma->size() == 1) rows.plane = std::max<int64_t>(1, rows.n);
  rows.parameters = rows.plane == 1 ? rows.n : 1;
  return Compute(context, rows);
}

// Of x [N, C, spatial...]: each row is one group of channels.
Status ChannelNormGrad(OpContext& context, int64_t groups, bool per_channel) {
  RETURN_IF_ERROR(RequireRank(context, 1, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2, 3}));
  const Tensor& x = *context.input(1);
  const int64_t channels = x.dim(1);
  if (groups < 1 || channels % groups != 0)
    return ModelError(StrCat(groups, " groups of ", channels, " channels"));
  Rows rows;
  rows.count = x.dim(0) * groups;
  rows.n = Product(x.shape(), 1, x.rank()) / groups;
  rows.groups = groups;
  rows.step = per_channel ? channels / groups : 1;
  rows.plane = std::max<int64_t>(1, per_channel ? Product(x.shape(), 2, x.rank()) : rows.n);
  rows.parameters = per_channel ? channels : groups;
  rows.epsilon = context.node().Float("epsilon", 1e-5f);
  return Compute(context, rows);
}

Status InstanceNormGrad(OpContext& context) {
  RETURN_IF_ERROR(RequireRank(context, 1, 2));
  const int64_t channels = context.input(1)->dim(1);
  return ChannelNormGrad(context, std::max<int64_t>(1, channels), true);
}

Status GroupNormGrad(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  return ChannelNormGrad(context, context.node().Int("num_groups", 0),
                         ForwardOpset(context.node()) >= 21);
}

}  // namespace

std::vector<OpEntry> GradientNormRows() {
  return {
      {"GroupNormGrad", "roundel", 1, kLatest, &GroupNormGrad},
      {"InstanceNormGrad", "roundel", 1, kLatest, &InstanceNormGrad},
      {"LayerNormGrad", "roundel", 1, kLatest, &LayerNormGrad<true>},
      {"RmsNormGrad", "roundel", 1, kLatest, &LayerNormGrad<false>},
  };
}

}  // namespace roundel::engine
