// Batch, instance, group, layer and RMS normalization; local response normalization; mean variance
// normalization; LpNormalization.
#pragma GCC optimize("O3")

#include <algorithm>
#include <cmath>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/spatial.h"
#include "lib/ops/kernels/sums.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// y = x * factor + shift
void Affine(const float* x, float* y, int64_t n, double factor, double shift) {
  for (int64_t i = 0; i < n; ++i)
    y[i] = static_cast<float>(static_cast<double>(x[i]) * factor + shift);
}

// kModel unless input `i` (optional) is a vector of `length` elements.
Status CheckVector(const OpContext& context, size_t i, int64_t length) {
  const Tensor* tensor = context.input(i);
  if (tensor == nullptr || tensor->shape() == Shape{length}) return OkStatus();
  return ModelError(StrCat("input ", i, " has shape ", ShapeString(tensor->shape()), ", [", length,
                           "] is needed for x ", ShapeString(context.input(0)->shape())));
}

// ---- BatchNormalization

// Batch statistics per channel of x [N, C, ...] into `mean` and `variance`.
void BatchMoments(const Tensor& x, int64_t channels, std::vector<double>& mean,
                  std::vector<double>& variance) {
  const int64_t batch = x.dim(0), plane = Product(x.shape(), 2, x.rank());
  const float* data = x.data<float>();
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    const auto count = static_cast<double>(std::max<int64_t>(1, batch * plane));
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t i = 0; i < plane; ++i)
        sum += static_cast<double>(data[(n * channels + c) * plane + i]);
    mean[c] = sum / count;
    for (int64_t n = 0; n < batch; ++n) {
      for (int64_t i = 0; i < plane; ++i) {
        const double d = static_cast<double>(data[(n * channels + c) * plane + i]) - mean[c];
        squares += d * d;
      }
    }
    variance[c] = squares / count;
  }
}

// Running statistics (opset 14): old * momentum + batch * (1 - momentum).
Status UpdateRunning(OpContext& context, size_t output, const Tensor& old,
                     const std::vector<double>& batch) {
  if (!context.wants(output)) return OkStatus();
  ASSIGN_OR_RETURN(Tensor * updated, NewOutput(context, output, DType::kFloat, old.shape()));
  const double momentum = context.node().Float("momentum", 0.9f);
  float* to = updated->mutable_data<float>();
  for (size_t c = 0; c < batch.size(); ++c)
    to[c] = static_cast<float>(static_cast<double>(old.data<float>()[c]) * momentum +
                               batch[c] * (1 - momentum));
  return OkStatus();
}

Status BatchNormalization(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 5));
  RETURN_IF_ERROR(RequireRank(context, 0, 1));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2, 3, 4}));
  const Tensor& x = *context.input(0);
  // Before opset 9, spatial = 0 gives every element of a sample its own statistics.
  const bool by_element = context.opset() < 9 && context.node().Int("spatial", 1) == 0;
  const Shape per_sample(x.shape().begin() + 1, x.shape().end());
  const int64_t channels = by_element     ? Product(x.shape(), 1, x.rank())
                           : x.rank() > 1 ? x.dim(1)
                                          : 1;
  const int64_t plane = by_element ? 1 : Product(x.shape(), 2, x.rank());
  for (size_t i = 1; i < 5; ++i)
    if (!by_element || context.input(i)->shape() != per_sample)
      RETURN_IF_ERROR(CheckVector(context, i, channels));
  const auto running_mean = context.input(3)->span<float>();
  const auto running_variance = context.input(4)->span<float>();
  std::vector<double> mean(running_mean.begin(), running_mean.end());
  std::vector<double> variance(running_variance.begin(), running_variance.end());
  if (!by_element && context.node().Int("training_mode", 0) != 0) {
    BatchMoments(x, channels, mean, variance);
    RETURN_IF_ERROR(UpdateRunning(context, 1, *context.input(3), mean));
    RETURN_IF_ERROR(UpdateRunning(context, 2, *context.input(4), variance));
  }
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  const float *from = x.data<float>(), *scale = context.input(1)->data<float>();
  const float* bias = context.input(2)->data<float>();
  float* to = y->mutable_data<float>();
  const double epsilon = context.node().Float("epsilon", 1e-5f);
  ParallelFor(x.dim(0) * channels, RowGrain(plane), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i % channels;
      const double factor = static_cast<double>(scale[c]) / std::sqrt(variance[c] + epsilon);
      Affine(from + i * plane, to + i * plane, plane, factor,
             static_cast<double>(bias[c]) - mean[c] * factor);
    }
  });
  return OkStatus();
}

// ---- InstanceNormalization, GroupNormalization

Status InstanceNormalization(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireRank(context, 0, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2}));
  const Tensor& x = *context.input(0);
  const int64_t channels = x.dim(1), plane = Product(x.shape(), 2, x.rank());
  for (size_t i = 1; i < 3; ++i) RETURN_IF_ERROR(CheckVector(context, i, channels));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  const float *from = x.data<float>(), *scale = context.input(1)->data<float>();
  const float* bias = context.input(2)->data<float>();
  float* to = y->mutable_data<float>();
  const double epsilon = context.node().Float("epsilon", 1e-5f);
  ParallelFor(x.dim(0) * channels, RowGrain(plane), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Moments m = MomentsOf(from + i * plane, plane);
      const double factor =
          static_cast<double>(scale[i % channels]) / std::sqrt(m.variance + epsilon);
      Affine(from + i * plane, to + i * plane, plane, factor,
             static_cast<double>(bias[i % channels]) - m.mean * factor);
    }
  });
  return OkStatus();
}

// Opset 18: scale and bias per group; since opset 21 per channel.
Status GroupNormalization(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireRank(context, 0, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2}));
  const Tensor& x = *context.input(0);
  const int64_t channels = x.dim(1), plane = Product(x.shape(), 2, x.rank());
  const int64_t groups = context.node().Int("num_groups", 0);
  if (groups < 1 || channels % groups != 0)
    return ModelError(
        StrCat("num_groups ", groups, " does not divide the channels of ", ShapeString(x.shape())));
  const bool per_channel = context.opset() >= 21;
  for (size_t i = 1; i < 3; ++i)
    RETURN_IF_ERROR(CheckVector(context, i, per_channel ? channels : groups));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  const float *from = x.data<float>(), *scale = context.input(1)->data<float>();
  const float* bias = context.input(2)->data<float>();
  float* to = y->mutable_data<float>();
  const double epsilon = context.node().Float("epsilon", 1e-5f);
  const int64_t width = channels / groups;  // channels per group
  ParallelFor(x.dim(0) * groups, RowGrain(width * plane), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Moments m = MomentsOf(from + i * width * plane, width * plane);
      const double inverse = 1.0 / std::sqrt(m.variance + epsilon);
      for (int64_t c = 0; c < width; ++c) {
        const int64_t group = i % groups, at = (i * width + c) * plane;
        const int64_t p = per_channel ? group * width + c : group;
        const double factor = static_cast<double>(scale[p]) * inverse;
        Affine(from + at, to + at, plane, factor, static_cast<double>(bias[p]) - m.mean * factor);
      }
    }
  });
  return OkStatus();
}

// ---- LayerNormalization, RMSNormalization: over the axes from `axis` to the last

// Broadcasts the optional scale or bias to the normalized axes; the values of an [inner] vector.
Result<std::vector<float>> InnerParameter(const OpContext& context, size_t i, const Shape& inner,
                                          float fallback) {
  const int64_t length = NumElements(inner);
  const Tensor* tensor = context.input(i);
  if (tensor == nullptr) return std::vector<float>(static_cast<size_t>(length), fallback);
  if (tensor->size() == 1)
    return std::vector<float>(static_cast<size_t>(length), tensor->data<float>()[0]);
  Shape shape = tensor->shape();
  while (shape.size() > inner.size() && shape[0] == 1) shape.erase(shape.begin());
  if (shape != inner)
    return ModelError(StrCat("input ", i, " of shape ", ShapeString(tensor->shape()),
                             " does not fit the normalized axes ", ShapeString(inner)));
  const auto values = tensor->span<float>();
  return std::vector<float>(values.begin(), values.end());
}

struct LayerAxes {
  int64_t rows;
  Shape inner, statistics;  // normalized axes; shape of the mean output
};

Result<LayerAxes> ResolveLayer(const OpContext& context) {
  RETURN_IF_ERROR(RequireRank(context, 0, 1));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2}));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(context.node().Int("axis", -1), x.rank()));
  LayerAxes axes{Product(x.shape(), 0, axis), Shape(x.shape().begin() + axis, x.shape().end()),
                 x.shape()};
  std::fill(axes.statistics.begin() + axis, axes.statistics.end(), 1);
  return axes;
}

Status LayerNormalization(OpContext& context) {
  ASSIGN_OR_RETURN(const LayerAxes axes, ResolveLayer(context));
  ASSIGN_OR_RETURN(const std::vector<float> scale, InnerParameter(context, 1, axes.inner, 1));
  ASSIGN_OR_RETURN(const std::vector<float> bias, InnerParameter(context, 2, axes.inner, 0));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  float* statistics[2] = {nullptr, nullptr};  // mean, 1 / standard deviation
  for (size_t k = 0; k < 2; ++k) {
    if (!context.wants(k + 1)) continue;
    ASSIGN_OR_RETURN(Tensor * out, NewOutput(context, k + 1, DType::kFloat, axes.statistics));
    statistics[k] = out->mutable_data<float>();
  }
  const float* from = x.data<float>();
  float* to = y->mutable_data<float>();
  const double epsilon = context.node().Float("epsilon", 1e-5f);
  const int64_t n = NumElements(axes.inner);
  ParallelFor(axes.rows, RowGrain(n), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* line = from + row * n;
      const Moments m = MomentsOf(line, n);
      const auto mean = static_cast<float>(m.mean);
      const auto inverse = static_cast<float>(1.0 / std::sqrt(m.variance + epsilon));
      for (int64_t i = 0; i < n; ++i)
        to[row * n + i] = (line[i] - mean) * inverse * scale[i] + bias[i];
      if (statistics[0]) statistics[0][row] = mean;
      if (statistics[1]) statistics[1][row] = inverse;
    }
  });
  return OkStatus();
}

Status RmsNormalization(OpContext& context) {
  ASSIGN_OR_RETURN(const LayerAxes axes, ResolveLayer(context));
  ASSIGN_OR_RETURN(const std::vector<float> scale, InnerParameter(context, 1, axes.inner, 1));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  float* inverses = nullptr;  // output of SimplifiedLayerNormalization only
  if (context.wants(1)) {
    ASSIGN_OR_RETURN(Tensor * out, NewOutput(context, 1, DType::kFloat, axes.statistics));
    inverses = out->mutable_data<float>();
  }
  const float* from = x.data<float>();
  float* to = y->mutable_data<float>();
  const double epsilon = context.node().Float("epsilon", 1e-5f);
  const int64_t n = NumElements(axes.inner);
  ParallelFor(axes.rows, RowGrain(n), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* line = from + row * n;
      const double squares = SumOf(line, n, [](double v) { return v * v; });
      const auto inverse =
          static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(n) + epsilon));
      for (int64_t i = 0; i < n; ++i) to[row * n + i] = line[i] * inverse * scale[i];
      if (inverses) inverses[row] = inverse;
    }
  });
  return OkStatus();
}

// ---- LRN: y = x / (bias + alpha / size * sum of squares over `size` neighboring channels)^beta

Status Lrn(OpContext& context) {
  RETURN_IF_ERROR(RequireRank(context, 0, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  const int64_t channels = x.dim(1), plane = Product(x.shape(), 2, x.rank());
  const int64_t size = context.node().Int("size", 1);
  if (size < 1) return ModelError(StrCat("LRN with size ", size));
  const double alpha = context.node().Float("alpha", 1e-4f);
  const double beta = context.node().Float("beta", 0.75f), bias = context.node().Float("bias", 1);
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  const float* from = x.data<float>();
  float* to = y->mutable_data<float>();
  const int64_t below = std::min((size - 1) / 2, channels), above = std::min(size / 2, channels);
  ParallelFor(x.dim(0) * channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t c = row % channels;
      const int64_t low = std::max<int64_t>(0, c - below), high = std::min(channels - 1, c + above);
      for (int64_t i = 0; i < plane; ++i) {
        double squares = 0;
        for (int64_t k = low; k <= high; ++k) {
          const double v = from[(row - c + k) * plane + i];
          squares += v * v;
        }
        to[row * plane + i] =
            static_cast<float>(from[row * plane + i] /
                               std::pow(bias + alpha / static_cast<double>(size) * squares, beta));
      }
    }
  });
  return OkStatus();
}

// ---- MeanVarianceNormalization: y = (x - mean) / standard deviation over `axes`

Status MeanVarianceNormalization(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const std::vector<int64_t> axes,
                   NormalAxes(context.node().Ints("axes", {0, 2, 3}), x.rank()));
  // Elements with the same group share their statistics.
  Shape kept = x.shape();
  for (int64_t axis : axes) kept[axis] = 1;
  std::vector<int64_t> steps = Strides(kept);
  for (int64_t axis : axes) steps[axis] = 0;
  const auto groups = static_cast<size_t>(NumElements(kept));
  std::vector<int64_t> group;
  for (Odometer at(x.shape()); !at.done(); at.Next()) {
    int64_t index = 0;
    for (size_t i = 0; i < steps.size(); ++i) index += at[i] * steps[i];
    group.push_back(index);
  }
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  if (x.size() == 0) return OkStatus();
  const double count = static_cast<double>(x.size()) / static_cast<double>(groups);
  std::vector<double> mean(groups, 0.0), variance(groups, 0.0);
  const float* from = x.data<float>();
  float* to = y->mutable_data<float>();
  for (size_t i = 0; i < group.size(); ++i) mean[group[i]] += from[i] / count;
  for (size_t i = 0; i < group.size(); ++i) {
    const double d = from[i] - mean[group[i]];
    variance[group[i]] += d * d / count;
  }
  for (size_t i = 0; i < group.size(); ++i)
    to[i] = static_cast<float>((from[i] - mean[group[i]]) / (std::sqrt(variance[group[i]]) + 1e-9));
  return OkStatus();
}

// ---- LpNormalization: along one axis

Status LpNormalization(OpContext& context) {
  RETURN_IF_ERROR(RequireRank(context, 0, 1));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(context.node().Int("axis", -1), x.rank()));
  const int64_t p = context.node().Int("p", 2);
  if (p != 1 && p != 2) return ModelError(StrCat("LpNormalization with p = ", p, " (1 or 2)"));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  if (x.size() == 0) return OkStatus();
  const float* from = x.data<float>();
  float* to = y->mutable_data<float>();
  const int64_t n = x.dim(axis), step = Product(x.shape(), axis + 1, x.rank());
  ParallelFor(x.size() / n, RowGrain(n), [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const int64_t start = line / step * n * step + line % step;
      double norm = 0;
      for (int64_t i = 0; i < n; ++i) {
        const double v = from[start + i * step];
        norm += p == 1 ? std::fabs(v) : v * v;
      }
      if (p == 2) norm = std::sqrt(norm);
      const double factor = norm == 0 ? 0 : 1 / norm;
      for (int64_t i = 0; i < n; ++i)
        to[start + i * step] = static_cast<float>(from[start + i * step] * factor);
    }
  });
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> NormalizationRows() {
  return {
      {"BatchNormalization", "", 1, kLatest, &ViaFloat<&BatchNormalization>},
      {"GroupNormalization", "", 18, kLatest, &ViaFloat<&GroupNormalization>},
      {"InstanceNormalization", "", 1, kLatest, &ViaFloat<&InstanceNormalization>},
      {"LRN", "", 1, kLatest, &ViaFloat<&Lrn>},
      // ONNX Runtime also writes it into models of older operator sets.
      {"LayerNormalization", "", 1, kLatest, &ViaFloat<&LayerNormalization>},
      {"LpNormalization", "", 1, kLatest, &ViaFloat<&LpNormalization>},
      {"MeanVarianceNormalization", "", 9, kLatest, &ViaFloat<&MeanVarianceNormalization>},
      {"RMSNormalization", "", 23, kLatest, &ViaFloat<&RmsNormalization>},
      // ONNX Runtime's name for it, in the default domain.
      {"SimplifiedLayerNormalization", "", 1, kLatest, &ViaFloat<&RmsNormalization>},
  };
}

}  // namespace roundel::engine
