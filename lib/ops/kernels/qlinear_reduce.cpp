// Operators of com.microsoft that reduce codes to codes: QLinearGlobalAveragePool,
// QLinearAveragePool, QLinearReduceMean, QLinearSoftmax. Inputs: x, x_scale, x_zero_point, y_scale,
// y_zero_point.

#include "lib/ops/kernels/codes_math.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/inner_op.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/softmax_codes.h"
#include "lib/ops/kernels/spatial.h"

namespace roundel::engine {
namespace {

struct Ends {
  quant::QParams from, to;
};

Result<Ends> ReadEnds(const OpContext& context) {
  if (!context.input(0) || !context.input(1) || !context.input(3))
    return ModelError("the codes or a scale are missing");
  const DType type = context.input(0)->dtype();
  RETURN_IF_ERROR(RequireCodes(*context.input(0), "x"));
  Ends ends;
  ASSIGN_OR_RETURN(ends.from, TensorParams(context, 1, type));
  ASSIGN_OR_RETURN(ends.to, TensorParams(context, 3, type));
  return ends;
}

Tensor Dequantized(const Tensor& codes, quant::QParams params) {
  Tensor values = codes.ToFloat();
  float* to = values.mutable_data<float>();
  const auto zero = static_cast<float>(params.zero_point);
  for (int64_t i = 0; i < values.size(); ++i) to[i] = (to[i] - zero) * params.scale;
  return values;
}

Tensor Quantized(const Tensor& values, quant::QParams params, DType type) {
  Tensor codes = Tensor::Empty(type, values.shape());
  const quant::Grid grid = GridOf(type);
  const CodeWriter writer{{1.0f}, type, params.zero_point, grid.qmin(), grid.qmax()};
  const float* from = values.data<float>();
  void* to = codes.mutable_raw();
  for (int64_t i = 0; i < values.size(); ++i) writer.StoreScaled(from[i] / params.scale, to, i);
  return codes;
}

// Mean of one window as ONNX Runtime computes it: float sums; the divisor is the whole kernel if
// padding counts, even if the window extends beyond the padding.
float WindowMean(const Window& window, const std::vector<int64_t>& out, bool count_padding,
                 const float* plane) {
  float sum = 0;
  int64_t count = 0;
  for (Odometer tap(window.kernel); !tap.done(); tap.Next()) {
    int64_t flat = 0;
    bool inside = true;
    for (size_t i = 0; i < out.size() && inside; ++i) {
      const int64_t at =
          out[i] * window.strides[i] + tap[i] * window.dilations[i] - window.pads_begin[i];
      inside = at >= 0 && at < window.input[i];
      flat = flat * window.input[i] + at;
    }
    if (!inside) continue;
    sum += plane[flat];
    ++count;
  }
  if (count_padding) count = NumElements(window.kernel);
  return count == 0 ? 0.0f : sum / static_cast<float>(count);
}

// The means of x [N, C, ...], floats.
Result<Tensor> PoolMeans(const OpContext& context, const Tensor& x) {
  ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(x));
  const graph::Node& node = context.node();
  ASSIGN_OR_RETURN(const Window window, ResolveWindow(node, spatial, node.Ints("kernel_shape"),
                                                      node.Int("ceil_mode", 0) != 0));
  RETURN_IF_ERROR(CheckSize(DType::kFloat, window.kernel));
  Shape shape = {x.dim(0), x.dim(1)};
  shape.insert(shape.end(), window.output.begin(), window.output.end());
  RETURN_IF_ERROR(CheckSize(DType::kFloat, shape));
  Tensor means = Tensor::Empty(DType::kFloat, shape);
  const bool count_padding = node.Int("count_include_pad", 0) != 0;
  const int64_t plane = NumElements(spatial), places = NumElements(window.output);
  float* to = means.mutable_data<float>();
  ParallelFor(x.dim(0) * x.dim(1), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t at = i * places;
      for (Odometer out(window.output); !out.done(); out.Next(), ++at)
        to[at] = WindowMean(window, out.index(), count_padding, x.data<float>() + i * plane);
    }
  });
  return means;
}

Status QLinearAveragePool(OpContext& context) {
  ASSIGN_OR_RETURN(const Ends ends, ReadEnds(context));
  const bool channels_last = context.node().Int("channels_last", 0) != 0;
  Tensor x = Dequantized(*context.input(0), ends.from);
  if (channels_last) {
    ASSIGN_OR_RETURN(x, ToChannelsFirst(x));
  }
  ASSIGN_OR_RETURN(Tensor y, PoolMeans(context, x));
  if (channels_last) {
    ASSIGN_OR_RETURN(y, ToChannelsLast(y));
  }
  // The zero point is added before rounding, which affects ties.
  const DType type = context.input(0)->dtype();
  const quant::Grid grid = GridOf(type);
  const CodeWriter writer{{1.0f}, type, 0, grid.qmin(), grid.qmax()};
  Tensor codes = Tensor::Empty(type, y.shape());
  const auto zero = static_cast<float>(ends.to.zero_point);
  for (int64_t i = 0; i < y.size(); ++i)
    writer.StoreScaled(y.data<float>()[i] / ends.to.scale + zero, codes.mutable_raw(), i);
  context.SetOutput(0, std::move(codes));
  return OkStatus();
}

Status QLinearReduceMean(OpContext& context) {
  ASSIGN_OR_RETURN(const Ends ends, ReadEnds(context));
  const std::vector<int64_t> axes = context.node().Ints("axes");
  const auto count = static_cast<int64_t>(axes.size());
  const Tensor x = Dequantized(*context.input(0), ends.from);
  ASSIGN_OR_RETURN(
      const Tensor y,
      RunInnerOp("ReduceMean", {x, Tensor::FromVector<int64_t>({count}, axes)}, context.node()));
  context.SetOutput(0, Quantized(y, ends.to, context.input(0)->dtype()));
  return OkStatus();
}

// The sum is an integer; one multiplier = scale_x / (scale_y * pixels) follows.
Status QLinearGlobalAveragePool(OpContext& context) {
  ASSIGN_OR_RETURN(const Ends ends, ReadEnds(context));
  RETURN_IF_ERROR(RequireRank(context, 0, 3));
  Tensor x = *context.input(0);
  const DType type = x.dtype();
  const bool channels_last = context.node().Int("channels_last", 0) != 0;
  if (channels_last) {
    ASSIGN_OR_RETURN(x, ToChannelsFirst(x));
  }
  const int64_t planes = x.dim(0) * x.dim(1), pixels = Product(x.shape(), 2, x.rank());
  if (pixels == 0 && planes > 0)
    return ModelError(StrCat("empty planes in shape ", ShapeString(x.shape())));
  Shape shape(x.shape().size(), 1);
  shape[0] = x.dim(0);
  shape[channels_last ? shape.size() - 1 : 1] = x.dim(1);
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, type, shape));
  const Tensor values = x.ToFloat();
  const quant::Grid grid = GridOf(type);
  const CodeWriter writer{{ends.from.scale / (ends.to.scale * static_cast<float>(pixels))},
                          type,
                          ends.to.zero_point,
                          grid.qmin(),
                          grid.qmax()};
  for (int64_t plane = 0; plane < planes; ++plane) {
    const float* from = values.data<float>() + plane * pixels;
    double sum = 0;
    for (int64_t i = 0; i < pixels; ++i) sum += static_cast<double>(from[i]) - ends.from.zero_point;
    writer.Store(sum, 0, y->mutable_raw(), plane);
  }
  return OkStatus();
}

// The attribute `opset` selects the version of Softmax: before 13, over all axes from `axis` on.
Status QLinearSoftmax(OpContext& context) {
  ASSIGN_OR_RETURN(const Ends ends, ReadEnds(context));
  const Tensor& x = *context.input(0);
  const bool one_axis = context.node().Int("opset", 13) >= 13;
  if (x.rank() < 1) return ModelError("Softmax of a scalar");
  ASSIGN_OR_RETURN(const int64_t axis,
                   NormalAxis(context.node().Int("axis", one_axis ? -1 : 1), x.rank()));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), x.shape()));
  const int64_t length = one_axis ? x.dim(axis) : Product(x.shape(), axis, x.rank());
  const int64_t inner = one_axis ? Product(x.shape(), axis + 1, x.rank()) : 1;
  const SoftmaxCodes softmax(ends.from, ends.to, x.dtype() == DType::kInt8, length);
  const auto* from = static_cast<const uint8_t*>(x.raw());
  auto* to = static_cast<uint8_t*>(y->mutable_raw());
  for (int64_t row = 0; length > 0 && row < x.size() / length; ++row) {
    const int64_t at = row / inner * length * inner + row % inner;
    softmax.Run(from + at, inner, to + at);
  }
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> QLinearReduceRows() {
  constexpr const char* kContrib = "com.microsoft";
  return {
      {"QLinearAveragePool", kContrib, 1, kLatest, &QLinearAveragePool},
      {"QLinearGlobalAveragePool", kContrib, 1, kLatest, &QLinearGlobalAveragePool},
      {"QLinearReduceMean", kContrib, 1, kLatest, &QLinearReduceMean},
      {"QLinearSoftmax", kContrib, 1, kLatest, &QLinearSoftmax},
  };
}

}  // namespace roundel::engine
