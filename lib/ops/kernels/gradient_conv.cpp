// The gradients of convolutions, plain and transposed, over any number of spatial axes. Both are
// sums of products along the pairs of elements that a tap of the kernel connects:
//
//   Conv           y[o] += w[t] * x[f]     dX[f] += w[t] * dY[o]     dW[t] += x[f] * dY[o]
//   ConvTranspose  y[f] += w[t] * x[o]     dX[o] += w[t] * dY[f]     dW[t] += x[o] * dY[f]
//
// for o on the coarse side and f = o * stride + t * dilation - pad on the fine side.
#pragma GCC optimize("O3")

#include <algorithm>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/convolve.h"
#include "lib/ops/kernels/gradient.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/tap_rows.h"
#include "lib/ops/kernels/transposed_convolution.h"

namespace roundel::engine {
namespace {

// Both kinds as a relation of two tensors [N, channels, spatial...] through w [coarse channels, fine
// channels / groups, taps...].
struct Relation {
  int64_t batch, coarse_channels, fine_channels, groups;
  Shape kernel;
  TapRelation taps;
  int64_t coarse_plane() const { return NumElements(taps.coarse); }
  int64_t fine_plane() const { return NumElements(taps.fine); }
};
Relation RelationOf(const Convolution& conv) {
  return {conv.batch,  conv.channels_out,  conv.channels_in,
          conv.groups, conv.window.kernel, OfConvolution(conv.window)};
}
Relation RelationOf(const TransposedConvolution& conv) {
  return {conv.batch,  conv.channels_in,   conv.channels_out,
          conv.groups, conv.window.kernel, OfTransposed(conv.window)};
}

// fine[n, c] = sum over the coarse channels of the group of w * coarse
void SpreadToFine(const Relation& r, const float* w, const float* coarse, float* fine) {
  const int64_t coarse_plane = r.coarse_plane(), fine_plane = r.fine_plane();
  const int64_t taps = NumElements(r.kernel);
  const int64_t outs = r.coarse_channels / r.groups, ins = r.fine_channels / r.groups;
  ParallelFor(r.batch * r.fine_channels, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(fine_plane));
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t n = plane / r.fine_channels, c = plane % r.fine_channels;
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t k = c / ins * outs; k < (c / ins + 1) * outs; ++k) {
        const float* from = coarse + (n * r.coarse_channels + k) * coarse_plane;
        const float* weight = w + (k * ins + c % ins) * taps;
        for (Odometer tap(r.kernel); !tap.done(); tap.Next(), ++weight)
          ForEachTapRow(r.taps, tap.index(), [&](int64_t o, int64_t f, int64_t m, int64_t stride) {
            for (int64_t i = 0; i < m; ++i)
              sums[f + i * stride] += static_cast<double>(*weight) * from[o + i];
          });
      }
      for (int64_t i = 0; i < fine_plane; ++i)
        fine[plane * fine_plane + i] = static_cast<float>(sums[i]);
    }
  });
}

// coarse[n, k] = sum over the fine channels of the group of w * fine
void GatherToCoarse(const Relation& r, const float* w, const float* fine, float* coarse) {
  const int64_t coarse_plane = r.coarse_plane(), fine_plane = r.fine_plane();
  const int64_t taps = NumElements(r.kernel);
  const int64_t outs = r.coarse_channels / r.groups, ins = r.fine_channels / r.groups;
  ParallelFor(r.batch * r.coarse_channels, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(coarse_plane));
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t n = plane / r.coarse_channels, k = plane % r.coarse_channels;
      std::fill(sums.begin(), sums.end(), 0.0);
      const float* weight = w + k * ins * taps;
      for (int64_t c = k / outs * ins; c < (k / outs + 1) * ins; ++c) {
        const float* from = fine + (n * r.fine_channels + c) * fine_plane;
        for (Odometer tap(r.kernel); !tap.done(); tap.Next(), ++weight)
          ForEachTapRow(r.taps, tap.index(), [&](int64_t o, int64_t f, int64_t m, int64_t stride) {
            for (int64_t i = 0; i < m; ++i)
              sums[o + i] += static_cast<double>(*weight) * from[f + i * stride];
          });
      }
      for (int64_t i = 0; i < coarse_plane; ++i)
        coarse[plane * coarse_plane + i] = static_cast<float>(sums[i]);
    }
  });
}

// dW[k, c, tap] = sum over samples and positions of coarse * fine
void WeightSums(const Relation& r, const float* coarse, const float* fine, float* dw) {
  const int64_t coarse_plane = r.coarse_plane(), fine_plane = r.fine_plane();
  const int64_t taps = NumElements(r.kernel);
  const int64_t outs = r.coarse_channels / r.groups, ins = r.fine_channels / r.groups;
  ParallelFor(r.coarse_channels * ins, 1, [&](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t k = pair / ins, c = k / outs * ins + pair % ins;
      float* to = dw + pair * taps;
      for (Odometer tap(r.kernel); !tap.done(); tap.Next()) {
        double sum = 0;
        for (int64_t n = 0; n < r.batch; ++n) {
          const float* a = coarse + (n * r.coarse_channels + k) * coarse_plane;
          const float* b = fine + (n * r.fine_channels + c) * fine_plane;
          ForEachTapRow(r.taps, tap.index(), [&](int64_t o, int64_t f, int64_t m, int64_t stride) {
            for (int64_t i = 0; i < m; ++i)
              sum += static_cast<double>(a[o + i]) * static_cast<double>(b[f + i * stride]);
          });
        }
        *to++ = static_cast<float>(sum);
      }
    }
  });
}

template <bool transposed>
auto Resolve(const graph::Node& node, const Shape& x, const Shape& w) {
  if constexpr (transposed)
    return ResolveTransposedConvolution(node, x, w);
  else
    return ResolveConvolution(node, x, w);
}

// Inputs dY, W, X: only the shape of X is read.
template <bool transposed>
Status GradInput(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1}));
  const Tensor &dy = *context.input(0), &w = *context.input(1), &x = *context.input(2);
  const auto conv = Resolve<transposed>(context.node(), x.shape(), w.shape());
  if (!conv.ok()) return conv.status();
  RETURN_IF_ERROR(RequireShape(context, 0, conv->output_shape()));
  ASSIGN_OR_RETURN(Tensor * dx, NewOutput(context, 0, DType::kFloat, x.shape()));
  const auto compute = transposed ? GatherToCoarse : SpreadToFine;
  compute(RelationOf(*conv), w.data<float>(), dy.data<float>(), dx->mutable_data<float>());
  return OkStatus();
}

// Inputs dY, X, W: only the shape of W is read.
template <bool transposed>
Status GradWeight(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1}));
  const Tensor &dy = *context.input(0), &x = *context.input(1), &w = *context.input(2);
  const auto conv = Resolve<transposed>(context.node(), x.shape(), w.shape());
  if (!conv.ok()) return conv.status();
  RETURN_IF_ERROR(RequireShape(context, 0, conv->output_shape()));
  ASSIGN_OR_RETURN(Tensor * dw, NewOutput(context, 0, DType::kFloat, w.shape()));
  const Tensor &coarse = transposed ? x : dy, &fine = transposed ? dy : x;
  WeightSums(RelationOf(*conv), coarse.data<float>(), fine.data<float>(),
             dw->mutable_data<float>());
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> GradientConvRows() {
  return {
      {"ConvGradInput", "roundel", 1, kLatest, &GradInput<false>},
      {"ConvGradWeight", "roundel", 1, kLatest, &GradWeight<false>},
      {"ConvTransposeGradInput", "roundel", 1, kLatest, &GradInput<true>},
      {"ConvTransposeGradWeight", "roundel", 1, kLatest, &GradWeight<true>},
  };
}

}  // namespace roundel::engine
