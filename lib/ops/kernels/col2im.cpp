// Col2Im, which sums overlapping blocks into an image, and CenterCropPad.

#include <algorithm>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/inner_op.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/spatial.h"
#include "lib/ops/kernels/types.h"

namespace roundel::engine {
namespace {

// ---- Col2Im: x [N, C * taps of a block, blocks] -> [N, C, image...]

template <typename T>
T Sum(T a, T b) {
  if constexpr (std::is_integral_v<T>)  // wraps
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else
    return T(static_cast<Wide<T>>(a) + static_cast<Wide<T>>(b));
}

// y[o * stride + tap * dilation - pad] += x[o] over all blocks o that are inside for this tap.
template <typename T>
void AddTap(const Window& window, const std::vector<int64_t>& tap, const T* x, T* y) {
  const size_t rank = window.input.size();
  for (Odometer at(window.output); !at.done(); at.Next(), ++x) {
    int64_t to = 0;
    bool inside = true;
    for (size_t i = 0; i < rank && inside; ++i) {
      const int64_t p =
          at[i] * window.strides[i] + tap[i] * window.dilations[i] - window.pads_begin[i];
      inside = p >= 0 && p < window.input[i];
      to = to * window.input[i] + p;
    }
    if (inside) y[to] = Sum(y[to], *x);
  }
}

template <typename T>
Status Col2ImTyped(OpContext& context, const Window& window, int64_t channels) {
  const Tensor& x = *context.input(0);
  Shape shape = {x.dim(0), channels};
  shape.insert(shape.end(), window.input.begin(), window.input.end());
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), shape));
  const T* from = x.data<T>();
  T* to = y->mutable_data<T>();
  std::fill_n(to, y->size(), T(Wide<T>{0}));
  const int64_t plane = NumElements(window.input), blocks = NumElements(window.output);
  const int64_t taps = NumElements(window.kernel);
  ParallelFor(x.dim(0) * channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t row = i * taps;
      for (Odometer tap(window.kernel); !tap.done(); tap.Next(), ++row)
        AddTap(window, tap.index(), from + row * blocks, to + i * plane);
    }
  });
  return OkStatus();
}

Status Col2Im(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const std::vector<int64_t> image, IntegerInput(context, 1));
  ASSIGN_OR_RETURN(const std::vector<int64_t> block, IntegerInput(context, 2));
  if (image.empty() || image.size() != block.size() || x.rank() != 3)
    return ModelError(StrCat("blocks [", Join(block), "] of an image [", Join(image), "] from ",
                             ShapeString(x.shape())));
  RETURN_IF_ERROR(CheckSize(DType::kFloat, image));
  ASSIGN_OR_RETURN(const Window window, ResolveWindow(context.node(), image, block, false));
  RETURN_IF_ERROR(CheckSize(DType::kFloat, window.kernel));
  RETURN_IF_ERROR(CheckSize(DType::kFloat, window.output));
  const int64_t taps = NumElements(window.kernel);
  if (taps == 0 || x.dim(1) % taps != 0 || x.dim(2) != NumElements(window.output))
    return ModelError(StrCat("x of shape ", ShapeString(x.shape()), " for ",
                             NumElements(window.output), " blocks of ", taps, " elements"));
  return VisitNumeric(x.dtype(), [&](auto tag) {
    return Col2ImTyped<typename decltype(tag)::Type>(context, window, x.dim(1) / taps);
  });
}

// ---- CenterCropPad: each axis is cropped or zero-padded to a given length, around its center

Status CenterCropPad(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const std::vector<int64_t> wanted, IntegerInput(context, 1));
  std::vector<int64_t> all;
  for (int64_t i = 0; i < x.rank(); ++i) all.push_back(i);
  ASSIGN_OR_RETURN(const std::vector<int64_t> axes,
                   NormalAxes(context.node().Ints("axes", all), x.rank()));
  if (wanted.size() != axes.size())
    return ModelError(StrCat("shape [", Join(wanted), "] for ", axes.size(), " axes"));
  std::vector<int64_t> pads(2 * all.size(), 0);
  for (size_t k = 0; k < axes.size(); ++k) {
    if (wanted[k] < 0 || wanted[k] > kMaxTensorBytes)
      return ModelError(StrCat("length ", wanted[k], " of axis ", axes[k]));
    const int64_t more = wanted[k] - x.dim(axes[k]);
    // If the number is odd, the end gets one more, for cropping and for padding.
    const int64_t begin = more / 2;
    pads[axes[k]] = begin;
    pads[all.size() + axes[k]] = more - begin;
  }
  const auto count = static_cast<int64_t>(pads.size());
  ASSIGN_OR_RETURN(Tensor y, RunInnerOp("Pad", {x, Tensor::FromVector<int64_t>({count}, pads)}));
  context.SetOutput(0, std::move(y));
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> Col2ImRows() {
  return {
      {"CenterCropPad", "", 18, kLatest, &CenterCropPad},
      {"Col2Im", "", 18, kLatest, &Col2Im},
  };
}

}  // namespace roundel::engine
