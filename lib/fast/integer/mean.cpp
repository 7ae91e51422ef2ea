// GlobalAveragePool of codes, in the arithmetic of ONNX Runtime's QLinearGlobalAveragePool: a sum
// in 32 bits, then one multiplier = scale_x / (scale_y * pixels).

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/fast/integer/codes.h"
#include "lib/fast/integer/kernels.h"
#include "lib/fast/integer/requantize.h"

namespace roundel::engine {
namespace {

constexpr int64_t kMaxPixels = 1 << 22;  // 255 times this fits into 32 bits

template <typename T>
void SumPixels(const T* from, int64_t pixels, int64_t channels, int32_t* sums) {
  std::fill(sums, sums + channels, 0);
  for (int64_t p = 0; p < pixels; ++p, from += channels)
    for (int64_t c = 0; c < channels; ++c) sums[c] += from[c];
}

class IntegerMean : public FastKernel {
 public:
  IntegerMean(const quant::Encoding& source, const quant::Encoding& result)
      : source_(source), result_(result) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    if (!x || x->shape.size() < 3) return false;
    const int64_t batch = x->shape[0], channels = x->shape[1];
    const int64_t values = NumElements(x->shape);
    const int64_t pixels = values == 0 ? 0 : values / (batch * channels);
    if (pixels < 1 || pixels > kMaxPixels) return false;
    Shape shape(x->shape.size(), 1);
    shape[0] = batch;
    shape[1] = channels;
    const uint8_t* from = context.Codes(0, Layout::kChannelsLast);
    auto* sums = static_cast<int32_t*>(context.Scratch(batch * channels * 4));
    uint8_t* to =
        from && sums ? context.OutputCodes(shape, Layout::kChannelsLast, result_) : nullptr;
    if (!to) return false;
    ParallelFor(batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        const uint8_t* image = from + n * pixels * channels;
        if (source_.grid.is_signed)
          SumPixels(reinterpret_cast<const int8_t*>(image), pixels, channels, sums + n * channels);
        else
          SumPixels(image, pixels, channels, sums + n * channels);
      }
    });
    For(pixels, channels).Run(sums, batch, to);
    return true;
  }

 private:
  Requantizer For(int64_t pixels, int64_t channels) const {
    Requantizer r = Requantizer::For(result_, static_cast<size_t>(channels));
    const quant::QParams source = source_.params[0];
    std::fill(r.multiplier.begin(), r.multiplier.end(),
              source.scale / (result_.params[0].scale * static_cast<float>(pixels)));
    std::fill(r.bias.begin(), r.bias.end(), static_cast<int32_t>(-source.zero_point * pixels));
    return r;
  }

  const quant::Encoding &source_, &result_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeIntegerMean(const KernelSpec& spec) {
  if (!FitsBytes(spec.encodings[0]) || spec.constants[0] || !spec.post_ops.empty() ||
      !FitsBytes(spec.output_encoding))
    return nullptr;
  return std::make_unique<IntegerMean>(*spec.encodings[0], *spec.output_encoding);
}

}  // namespace roundel::engine
