#include "lib/data/normalizer.h"

#include <bit>
#include <cmath>
#include <limits>
#include <optional>

#include "lib/base/text.h"

namespace roundel::data {
namespace {

struct IntegerRange {
  double min, max;
};

std::optional<IntegerRange> RangeOf(DType type) {
  switch (type) {
    case DType::kBool: return IntegerRange{0, 1};
    case DType::kUint8: return IntegerRange{0, 255};
    case DType::kInt8: return IntegerRange{-128, 127};
    case DType::kUint16: return IntegerRange{0, 65535};
    case DType::kInt16: return IntegerRange{-32768, 32767};
    case DType::kUint32: return IntegerRange{0, 4294967295.0};
    case DType::kInt32: return IntegerRange{-2147483648.0, 2147483647.0};
    case DType::kUint64: return IntegerRange{0, 0x1p53};  // whole doubles
    case DType::kInt64: return IntegerRange{-0x1p53, 0x1p53};
    default: return std::nullopt;
  }
}

// The bits of `value` as `type`; nullopt if it does not fit.
std::optional<uint64_t> Encode(double value, DType type) {
  if (const auto range = RangeOf(type)) {
    if (value != std::floor(value) || value < range->min || value > range->max) return std::nullopt;
    return static_cast<uint64_t>(static_cast<int64_t>(value));
  }
  const auto single = static_cast<float>(value);
  if (!std::isfinite(single)) return std::nullopt;
  if (type == DType::kDouble) return std::bit_cast<uint64_t>(value);
  if (type == DType::kFloat) return std::bit_cast<uint32_t>(single);
  if (type == DType::kBfloat16) return FloatToBfloat16(single);
  const uint16_t half = FloatToHalf(single);
  return std::isfinite(HalfToFloat(half)) ? std::optional<uint64_t>(half) : std::nullopt;
}

// Strides in elements of one image: of its pixels and of its channels.
struct Strides {
  int64_t pixel, channel;
};

template <typename Word>
void Convert(const uint8_t* from, Strides from_strides, Word* to, Strides to_strides,
             int64_t pixels, const uint64_t* values) {
  Word table[256];
  for (int i = 0; i < 256; ++i) table[i] = static_cast<Word>(values[i]);
  if (to_strides.pixel == 1 && from_strides.pixel == 3) {  // RGB to planes, the usual case
    for (int64_t i = 0; i < pixels; ++i) to[i] = table[from[i * 3]];
    return;
  }
  for (int64_t i = 0; i < pixels; ++i)
    to[i * to_strides.pixel] = table[from[i * from_strides.pixel]];
}

}  // namespace

Result<Normalizer> Normalizer::Create(const Settings& settings, int64_t channels, DType type) {
  const bool encodable = type == DType::kFloat || type == DType::kDouble ||
                         type == DType::kFloat16 || type == DType::kBfloat16 || RangeOf(type);
  if (!encodable)
    return UsageError(StrCat("pixels cannot be fed to a model input of type ", DTypeName(type)));
  for (const auto* values : {&settings.mean, &settings.std}) {
    if (values->size() == 1 || static_cast<int64_t>(values->size()) == channels) continue;
    return UsageError(StrCat("'", values == &settings.mean ? "mean" : "std", "' has ",
                             values->size(), " values, but the model's input has ", channels,
                             channels == 1 ? " channel" : " channels", "; give it explicitly"));
  }
  Normalizer normalizer;
  normalizer.channels_ = channels;
  normalizer.reverse_channels_ = settings.bgr && channels == 3;
  normalizer.width_ = BitWidth(type) / 8;
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = settings.mean[settings.mean.size() == 1 ? 0 : c];
    const double std = settings.std[settings.std.size() == 1 ? 0 : c];
    for (int pixel = 0; pixel < 256; ++pixel) {
      const double value = (pixel * settings.scale - mean) / std;
      const auto bits = Encode(value, type);
      if (!bits)
        return UsageError(StrCat("pixel value ", pixel, " becomes ", value, ", which is no ",
                                 DTypeName(type), " of the model's input; change preset, scale, ",
                                 "mean or std"));
      normalizer.values_.push_back(*bits);
    }
  }
  return normalizer;
}

void Normalizer::Apply(const uint8_t* from, Layout from_layout, int64_t pixels, void* to,
                       Layout to_layout) const {
  const Strides planar{1, pixels}, interleaved{channels_, 1};
  const Strides in = from_layout == Layout::kNchw ? planar : interleaved;
  const Strides out = to_layout == Layout::kNchw ? planar : interleaved;
  for (int64_t c = 0; c < channels_; ++c) {
    const uint8_t* source = from + in.channel * (reverse_channels_ ? channels_ - 1 - c : c);
    const uint64_t* values = values_.data() + 256 * c;
    const int64_t offset = out.channel * c;
    switch (width_) {
      case 1: Convert(source, in, static_cast<uint8_t*>(to) + offset, out, pixels, values); break;
      case 2: Convert(source, in, static_cast<uint16_t*>(to) + offset, out, pixels, values); break;
      case 4: Convert(source, in, static_cast<uint32_t*>(to) + offset, out, pixels, values); break;
      default: Convert(source, in, static_cast<uint64_t*>(to) + offset, out, pixels, values);
    }
  }
}

}  // namespace roundel::data
