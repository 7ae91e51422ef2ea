// DeformConv: a convolution that reads its inputs at positions shifted by learned offsets, by
// linear interpolation.
#pragma GCC optimize("O3")

#include <algorithm>
#include <cmath>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/convolve.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

struct DeformSpec {
  Convolution conv;
  int64_t offset_groups = 1, taps = 0, places = 0;
  const float *x = nullptr, *w = nullptr, *offset = nullptr, *bias = nullptr, *mask = nullptr;
};

// The value of the plane between elements, by linear interpolation; 0 outside.
double Sample(const float* plane, const Shape& dims, const std::vector<double>& point) {
  const size_t rank = dims.size();
  for (size_t i = 0; i < rank; ++i)  // also false for NaN
    if (!(point[i] > -1 && point[i] < static_cast<double>(dims[i]))) return 0;
  double sum = 0;
  for (uint64_t corner = 0; corner < uint64_t{1} << rank; ++corner) {
    double weight = 1;
    int64_t flat = 0;
    for (size_t i = 0; i < rank; ++i) {
      const double low = std::floor(point[i]);
      const bool above = (corner >> i & 1) != 0;
      const int64_t index = static_cast<int64_t>(low) + (above ? 1 : 0);
      weight *= above ? point[i] - low : 1 - (point[i] - low);
      if (index < 0 || index >= dims[i]) weight = 0;
      flat = flat * dims[i] + std::min(std::max<int64_t>(index, 0), dims[i] - 1);
    }
    if (weight != 0) sum += weight * static_cast<double>(plane[flat]);
  }
  return sum;
}

// Samples of the input channel c at one output position: one for every tap.
void SampleTaps(const DeformSpec& spec, int64_t n, int64_t c, const std::vector<int64_t>& out,
                int64_t place, double* samples) {
  const Window& window = spec.conv.window;
  const auto rank = static_cast<int64_t>(window.input.size());
  const int64_t group = c / (spec.conv.channels_in / spec.offset_groups);
  const float* plane = spec.x + (n * spec.conv.channels_in + c) * NumElements(window.input);
  const int64_t first = (n * spec.offset_groups + group) * spec.taps;
  std::vector<double> point(static_cast<size_t>(rank));
  int64_t k = first;
  for (Odometer tap(window.kernel); !tap.done(); tap.Next(), ++k) {
    for (int64_t i = 0; i < rank; ++i)
      point[i] = static_cast<double>(out[i] * window.strides[i] - window.pads_begin[i] +
                                     tap[i] * window.dilations[i]) +
                 static_cast<double>(spec.offset[(k * rank + i) * spec.places + place]);
    *samples = Sample(plane, window.input, point);
    if (spec.mask) *samples *= static_cast<double>(spec.mask[k * spec.places + place]);
    ++samples;
  }
}

// All output channels at one output position of one sample.
void ConvolvePosition(const DeformSpec& spec, int64_t n, const std::vector<int64_t>& out,
                      int64_t place, std::vector<double>& samples, float* y) {
  const Convolution& conv = spec.conv;
  const int64_t ins = conv.channels_in / conv.groups, outs = conv.channels_out / conv.groups;
  for (int64_t c = 0; c < conv.channels_in; ++c)
    SampleTaps(spec, n, c, out, place, samples.data() + c * spec.taps);
  for (int64_t c = 0; c < conv.channels_out; ++c) {
    const double* from = samples.data() + c / outs * ins * spec.taps;
    const float* weights = spec.w + c * ins * spec.taps;
    double sum = spec.bias ? static_cast<double>(spec.bias[c]) : 0;
    for (int64_t i = 0; i < ins * spec.taps; ++i) sum += static_cast<double>(weights[i]) * from[i];
    y[(n * conv.channels_out + c) * spec.places + place] = static_cast<float>(sum);
  }
}

// [batch, channels, positions...] of offsets or a mask.
Status CheckPositions(const DeformSpec& spec, const Tensor& x, int64_t channels, const char* what) {
  Shape wanted = spec.conv.output_shape();
  wanted[1] = channels;
  if (x.shape() == wanted) return OkStatus();
  return ModelError(StrCat(what, " of shape ", ShapeString(x.shape()), " where ",
                           ShapeString(wanted), " is needed"));
}

Result<DeformSpec> ResolveDeform(const OpContext& context) {
  const Tensor &x = *context.input(0), &w = *context.input(1), *bias = context.input(3);
  ASSIGN_OR_RETURN(Convolution conv, ResolveConvolution(context.node(), x.shape(), w.shape()));
  DeformSpec spec{std::move(conv)};
  spec.offset_groups = context.node().Int("offset_group", 1);
  RETURN_IF_ERROR(CheckSize(DType::kFloat, spec.conv.window.kernel));
  RETURN_IF_ERROR(CheckSize(DType::kFloat, spec.conv.window.output));
  spec.taps = NumElements(spec.conv.window.kernel);
  spec.places = NumElements(spec.conv.window.output);
  if (spec.offset_groups < 1 || spec.conv.channels_in % spec.offset_groups != 0 ||
      spec.conv.channels_in == 0 || x.rank() > 10 ||
      (bias && bias->shape() != Shape{spec.conv.channels_out}))
    return ModelError(StrCat("x ", ShapeString(x.shape()), " with ", spec.offset_groups,
                             " groups of offsets, or the bias, does not fit"));
  const int64_t channels = spec.offset_groups * spec.taps;
  RETURN_IF_ERROR(CheckPositions(spec, *context.input(2), channels * (x.rank() - 2), "offset"));
  if (context.input(4)) RETURN_IF_ERROR(CheckPositions(spec, *context.input(4), channels, "mask"));
  spec.x = x.data<float>();
  spec.w = w.data<float>();
  spec.offset = context.input(2)->data<float>();
  spec.bias = bias ? bias->data<float>() : nullptr;
  spec.mask = context.input(4) ? context.input(4)->data<float>() : nullptr;
  return spec;
}

Status DeformConv(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2, 3, 4}));
  ASSIGN_OR_RETURN(const DeformSpec spec, ResolveDeform(context));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, spec.conv.output_shape()));
  float* to = y->mutable_data<float>();
  if (y->size() == 0) return OkStatus();
  const Shape& output = spec.conv.window.output;
  ParallelFor(spec.conv.batch * spec.places, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> samples(static_cast<size_t>(spec.conv.channels_in * spec.taps));
    std::vector<int64_t> out(output.size());
    for (int64_t unit = begin; unit < end; ++unit) {
      int64_t rest = unit % spec.places;
      for (size_t i = output.size(); i-- > 0; rest /= output[i]) out[i] = rest % output[i];
      ConvolvePosition(spec, unit / spec.places, out, unit % spec.places, samples, to);
    }
  });
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> DeformConvRows() {
  return {
      {"DeformConv", "", 19, kLatest, &ViaFloat<&DeformConv>},
  };
}

}  // namespace roundel::engine
