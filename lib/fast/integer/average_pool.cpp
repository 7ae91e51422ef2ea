// AveragePool of codes, channels-last, in the arithmetic of ONNX Runtime's QLinearAveragePool: a
// window is summed in float in row-major order, and the zero point is added before rounding.
#pragma GCC optimize("O3")

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"
#include "lib/fast/integer/codes.h"
#include "lib/fast/integer/kernels.h"
#include "lib/ops/kernels/spatial.h"

namespace roundel::engine {
namespace {

template <typename T>
inline __attribute__((always_inline)) void AddLoop(const T* codes, int32_t zero_point, float scale,
                                                   int64_t n, float* sums) {
  for (int64_t i = 0; i < n; ++i)
    sums[i] += static_cast<float>(static_cast<int32_t>(codes[i]) - zero_point) * scale;
}

ROUNDEL_VECTORIZE void AddPixel(const uint8_t* codes, const quant::Encoding& e, int64_t n,
                                float* sums) {
  const quant::QParams p = e.params[0];
  if (e.grid.is_signed)
    AddLoop(reinterpret_cast<const int8_t*>(codes), p.zero_point, p.scale, n, sums);
  else
    AddLoop(codes, p.zero_point, p.scale, n, sums);
}

ROUNDEL_VECTORIZE void StoreMeans(const float* sums, float count, const quant::Encoding& e,
                                  int64_t n, uint8_t* to) {
  const float scale = e.params[0].scale, zero = static_cast<float>(e.params[0].zero_point);
  const auto low = static_cast<float>(e.grid.qmin()), high = static_cast<float>(e.grid.qmax());
  for (int64_t i = 0; i < n; ++i) {
    float q = sums[i] / count / scale + zero;
    q = q > low ? q : low;
    q = q < high ? q : high;
    to[i] = static_cast<uint8_t>(static_cast<int32_t>(__builtin_nearbyintf(q)));
  }
}

class IntegerAveragePool : public FastKernel {
 public:
  explicit IntegerAveragePool(const KernelSpec& spec)
      : node_(*spec.main), source_(*spec.encodings[0]), result_(*spec.output_encoding) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    if (!x || x->shape.size() < 3) return false;
    const Shape shape = x->shape;
    const auto window = ResolveWindow(node_, Shape(shape.begin() + 2, shape.end()),
                                      node_.Ints("kernel_shape"), node_.Int("ceil_mode", 0) != 0);
    if (!window.ok()) return false;
    Shape result = {shape[0], shape[1]};
    result.insert(result.end(), window->output.begin(), window->output.end());
    const uint8_t* from = context.Codes(0, Layout::kChannelsLast);
    uint8_t* to = from ? context.OutputCodes(result, Layout::kChannelsLast, result_) : nullptr;
    if (!to) return false;
    const int64_t channels = shape[1], plane = NumElements(window->input) * channels;
    const int64_t places = NumElements(window->output);
    ParallelFor(shape[0] * window->output[0], 1, [&](int64_t begin, int64_t end) {
      std::vector<float> sums(static_cast<size_t>(channels));
      for (int64_t row = begin; row < end; ++row) {
        const int64_t n = row / window->output[0], first = row % window->output[0];
        PoolRow(*window, first, from + n * plane, &sums,
                to + (n * places + first * (places / window->output[0])) * channels);
      }
    });
    return true;
  }

 private:
  // All results with index `first` along the first spatial axis.
  void PoolRow(const Window& window, int64_t first, const uint8_t* image, std::vector<float>* sums,
               uint8_t* to) const {
    const auto channels = std::ssize(*sums);
    Shape others = window.output;
    others[0] = 1;
    for (Odometer out(others); !out.done(); out.Next(), to += channels) {
      std::fill(sums->begin(), sums->end(), 0.0f);
      int64_t count = 0;
      for (Odometer tap(window.kernel); !tap.done(); tap.Next()) {
        const int64_t pixel = PixelOf(window, first, out, tap);
        if (pixel < 0) continue;
        AddPixel(image + pixel * channels, source_, channels, sums->data());
        ++count;
      }
      if (node_.Int("count_include_pad", 0) != 0) count = NumElements(window.kernel);
      StoreMeans(sums->data(), static_cast<float>(std::max<int64_t>(1, count)), result_, channels,
                 to);
    }
  }

  // The input pixel of a tap; -1 if it is outside.
  static int64_t PixelOf(const Window& window, int64_t first, const Odometer& out,
                         const Odometer& tap) {
    int64_t flat = 0;
    for (size_t i = 0; i < window.input.size(); ++i) {
      const int64_t at = (i == 0 ? first : out[i]) * window.strides[i] +
                         tap[i] * window.dilations[i] - window.pads_begin[i];
      if (at < 0 || at >= window.input[i]) return -1;
      flat = flat * window.input[i] + at;
    }
    return flat;
  }

  const graph::Node node_;
  const quant::Encoding &source_, &result_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeIntegerAveragePool(const KernelSpec& spec) {
  if (!FitsBytes(spec.encodings[0]) || spec.constants[0] || !spec.post_ops.empty() ||
      !FitsBytes(spec.output_encoding) ||
      spec.encodings[0]->grid.is_signed != spec.output_encoding->grid.is_signed)
    return nullptr;
  return std::make_unique<IntegerAveragePool>(spec);
}

}  // namespace roundel::engine
