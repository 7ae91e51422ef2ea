// ConvTranspose over any number of spatial axes: the kernel spreads each input element over the
// output: y[i * stride + tap * dilation - pad] += x[i] * w[tap].
#pragma GCC optimize("O3")

#include <algorithm>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/tap_rows.h"
#include "lib/ops/kernels/transposed_convolution.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// sums += weight * x, spread by one kernel tap.
void SpreadTap(const Window& window, const std::vector<int64_t>& tap, float weight, const float* x,
               double* sums) {
  ForEachTapRow(OfTransposed(window), tap, [&](int64_t in, int64_t out, int64_t n, int64_t stride) {
    const float* from = x + in;
    double* to = sums + out;
    for (int64_t i = 0; i < n; ++i)
      to[i * stride] += static_cast<double>(weight) * static_cast<double>(from[i]);
  });
}

Status ConvTranspose(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2}));
  const Tensor &x = *context.input(0), &w = *context.input(1);
  ASSIGN_OR_RETURN(const TransposedConvolution conv,
                   ResolveTransposedConvolution(context.node(), x.shape(), w.shape()));
  const int64_t channels_out = conv.channels_out;
  const Tensor* bias = context.input(2);
  if (bias && bias->shape() != Shape{channels_out})
    return ModelError(
        StrCat("bias of shape ", ShapeString(bias->shape()), " for ", channels_out, " channels"));
  const Window& window = conv.window;
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, conv.output_shape()));
  const float *from = x.data<float>(), *weights = w.data<float>();
  float* out = y->mutable_data<float>();
  const int64_t in_plane = NumElements(window.input), out_plane = NumElements(window.output);
  const int64_t taps = NumElements(window.kernel);
  const int64_t ins = conv.channels_in / conv.groups, outs = channels_out / conv.groups;
  ParallelFor(x.dim(0) * channels_out, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(out_plane));
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t n = plane / channels_out, c_out = plane % channels_out;
      std::fill(sums.begin(), sums.end(), bias ? bias->data<float>()[c_out] : 0.0);
      for (int64_t c = 0; c < ins; ++c) {
        const int64_t c_in = c_out / outs * ins + c;
        const float* tap_weights = weights + (c_in * outs + c_out % outs) * taps;
        for (Odometer tap(window.kernel); !tap.done(); tap.Next())
          SpreadTap(window, tap.index(), *tap_weights++, from + (n * x.dim(1) + c_in) * in_plane,
                    sums.data());
      }
      for (int64_t i = 0; i < out_plane; ++i)
        out[plane * out_plane + i] = static_cast<float>(sums[i]);
    }
  });
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> ConvTransposeRows() {
  return {
      {"ConvTranspose", "", 1, kLatest, &ViaFloat<&ConvTranspose>},
  };
}

}  // namespace roundel::engine
