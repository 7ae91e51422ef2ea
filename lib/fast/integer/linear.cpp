// Sums of codes need vectorization, which -O2 omits if the count is unknown.
#pragma GCC optimize("O3")
#include "lib/fast/integer/linear.h"

#include <cmath>
#include <cstdlib>

#include "lib/fast/integer/codes.h"
#include "lib/fast/onednn/primitive.h"

namespace roundel::engine {
namespace {

// Longer sums of products of bytes could overflow 32 bits.
constexpr int64_t kMaxTerms = 1 << 16;

// The codes of the bias if their scale is source scale * weight scale, as runtimes require.
bool ReadBias(const KernelSpec& spec, const std::vector<float>& unit, std::vector<int32_t>* bias) {
  if (spec.encodings.size() < 3 || !spec.constants[2]) return spec.constants.size() < 3;
  const quant::Encoding* e = spec.encodings[2];
  if (!e || !e->codes || e->codes->dtype() != DType::kInt32 || e->codes->rank() != 1 ||
      e->codes->size() != static_cast<int64_t>(bias->size()))
    return false;
  for (size_t c = 0; c < bias->size(); ++c) {
    const quant::QParams& p = e->params[e->params.size() == 1 ? 0 : c];
    if (p.zero_point != 0 || !(std::fabs(p.scale - unit[c]) <= 1e-5f * unit[c])) return false;
    (*bias)[c] = e->codes->data<int32_t>()[c];
  }
  return true;
}

// Subtracts the contribution of the source's zero point from the bias.
bool MoveZeroPointToBias(const std::vector<int64_t>& sum, const std::vector<int64_t>& magnitude,
                         IntegerLinear* linear) {
  const int64_t zero_point = linear->source->params[0].zero_point;
  linear->exact_in_float = true;
  for (size_t c = 0; c < sum.size(); ++c) {
    const int64_t bias = linear->requantizer.bias[c] - zero_point * sum[c];
    if (bias < INT32_MIN || bias > INT32_MAX) return false;
    linear->requantizer.bias[c] = static_cast<int32_t>(bias);
    linear->exact_in_float &= 255 * magnitude[c] + std::abs(bias) < int64_t{1} << 24;
  }
  return true;
}

// Sums of the codes of each channel, and of their magnitudes.
void SumCodes(const Tensor& weights, int64_t channel_axis, std::vector<int64_t>* sum,
              std::vector<int64_t>* magnitude) {
  int64_t inner = 1;
  for (int64_t i = channel_axis + 1; i < weights.rank(); ++i) inner *= weights.dim(i);
  const int64_t channels = weights.dim(channel_axis);
  const int8_t* codes = weights.data<int8_t>();
  for (int64_t o = 0; o < weights.size() / (channels * inner); ++o) {
    for (int64_t c = 0; c < channels; ++c, codes += inner) {
      int32_t own = 0, size = 0;  // kMaxTerms prevents overflow
      for (int64_t i = 0; i < inner; ++i) {
        own += codes[i];
        size += std::abs(int32_t{codes[i]});
      }
      (*sum)[c] += own;
      (*magnitude)[c] += size;
    }
  }
}

}  // namespace

// Older instructions first add pairs of products in 16 bits.
bool HasExactDotProduct() { return HasByteDotProducts(); }

std::optional<IntegerLinear> IntegerLinear::Of(const KernelSpec& spec, int64_t channel_axis) {
  if (!HasExactDotProduct() || spec.folded || spec.min_rank > 0 || spec.encodings.size() < 2)
    return std::nullopt;
  IntegerLinear linear{.source = spec.encodings[0], .result = spec.output_encoding};
  const quant::Encoding* w = spec.encodings[1];
  if (!FitsBytes(linear.source) || !FitsBytes(linear.result) || spec.constants[0] ||
      !spec.constants[1] || !w || !w->codes || w->codes->dtype() != DType::kInt8 ||
      w->codes->size() == 0)
    return std::nullopt;
  linear.weights = *w->codes;
  const Shape& shape = linear.weights.shape();
  if (channel_axis >= linear.weights.rank()) return std::nullopt;
  const int64_t channels = shape[channel_axis];
  const bool per_channel = w->granularity == quant::Granularity::kChannel;
  const int64_t axis = w->axis < 0 ? w->axis + linear.weights.rank() : w->axis;
  if (w->granularity == quant::Granularity::kBlock || (per_channel && axis != channel_axis) ||
      linear.weights.size() / channels > kMaxTerms)
    return std::nullopt;
  for (const quant::QParams& p : w->params)
    if (p.zero_point != 0) return std::nullopt;

  linear.requantizer = Requantizer::For(*linear.result, static_cast<size_t>(channels));
  std::vector<float> unit(static_cast<size_t>(channels));
  for (size_t c = 0; c < unit.size(); ++c) {
    unit[c] = linear.source->params[0].scale * w->params[per_channel ? c : 0].scale;
    linear.requantizer.multiplier[c] = unit[c] / linear.result->params[0].scale;
  }
  std::vector<int64_t> sum(unit.size()), magnitude(unit.size());
  SumCodes(linear.weights, channel_axis, &sum, &magnitude);
  const auto range = BoundedCodes(spec.post_ops, *linear.result);
  if (!range || !ReadBias(spec, unit, &linear.requantizer.bias) ||
      !MoveZeroPointToBias(sum, magnitude, &linear))
    return std::nullopt;
  linear.requantizer.low = range->low;
  linear.requantizer.high = range->high;
  return linear;
}

}  // namespace roundel::engine
