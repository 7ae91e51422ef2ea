// Conv over any number of spatial axes.

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/convolve.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// The optional bias, input 2: [channels] or nullptr.
Result<const float*> BiasOf(const OpContext& context, int64_t channels) {
  const Tensor* bias = context.input(2);
  if (bias == nullptr) return static_cast<const float*>(nullptr);
  if (bias->shape() != Shape{channels})
    return ModelError(
        StrCat("bias of shape ", ShapeString(bias->shape()), " for ", channels, " channels"));
  return bias->data<float>();
}

Status Conv(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2}));
  const Tensor &x = *context.input(0), &w = *context.input(1);
  ASSIGN_OR_RETURN(const Convolution conv,
                   ResolveConvolution(context.node(), x.shape(), w.shape()));
  ASSIGN_OR_RETURN(const float* bias, BiasOf(context, conv.channels_out));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, conv.output_shape()));
  float* out = y->mutable_data<float>();
  const int64_t plane = NumElements(conv.window.output);
  Convolve(conv, x.data<float>(), w.data<float>(), [&](int64_t n, int64_t c, const double* sums) {
    float* to = out + (n * conv.channels_out + c) * plane;
    const double b = bias ? bias[c] : 0.0;
    for (int64_t i = 0; i < plane; ++i) to[i] = static_cast<float>(sums[i] + b);
  });
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> ConvRows() {
  return {
      {"Conv", "", 1, kLatest, &ViaFloat<&Conv>},
  };
}

}  // namespace roundel::engine
