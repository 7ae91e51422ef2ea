#include "lib/data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lib/base/check.h"

namespace roundel::data {
namespace {

// Fixed point: 8 bits of pixel, 22 of fraction, 2 for overshoot and sign of bicubic.
constexpr int kFractionBits = 22;

double Filter(Interpolation interpolation, double x) {
  x = std::abs(x);
  if (interpolation == Interpolation::kBilinear) return x < 1 ? 1 - x : 0;
  // Keys, Cubic convolution interpolation (1981), with a = -0.5.
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

// The source pixels of one target pixel: `count` from `first`, weights at first_weight.
struct Window {
  int first, count;
  size_t first_weight;
};

struct Axis {
  std::vector<Window> windows;
  std::vector<int32_t> weights;
};

Axis MakeAxis(int from, int to, Interpolation interpolation) {
  Axis axis;
  const double scale = static_cast<double>(from) / to;
  const double stretch = std::max(scale, 1.0);  // of the filter: antialiasing when shrinking
  const double support = (interpolation == Interpolation::kBicubic ? 2 : 1) * stretch;
  std::vector<double> weights;
  for (int i = 0; i < to; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - support + 0.5));
    const int end = std::min(from, static_cast<int>(center + support + 0.5));
    weights.clear();
    double sum = 0;
    for (int x = first; x < end; ++x) {
      weights.push_back(Filter(interpolation, (x - center + 0.5) / stretch));
      sum += weights.back();
    }
    axis.windows.push_back({first, end - first, axis.weights.size()});
    for (double weight : weights)
      axis.weights.push_back(
          static_cast<int32_t>(std::lround(weight / sum * (1 << kFractionBits))));
  }
  return axis;
}

uint8_t Round(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

io::Image ResizeWidth(const io::Image& image, int width, Interpolation interpolation) {
  const Axis axis = MakeAxis(image.width, width, interpolation);
  const int channels = image.channels;
  io::Image out{width, image.height, channels, {}};
  out.pixels.resize(static_cast<size_t>(width) * image.height * channels);
  uint8_t* to = out.pixels.data();
  for (int y = 0; y < image.height; ++y) {
    const uint8_t* row = image.pixels.data() + static_cast<size_t>(y) * image.width * channels;
    for (const Window& window : axis.windows) {
      const int32_t* weight = axis.weights.data() + window.first_weight;
      for (int c = 0; c < channels; ++c) {
        const uint8_t* from = row + static_cast<size_t>(window.first) * channels + c;
        int32_t sum = 1 << (kFractionBits - 1);
        for (int k = 0; k < window.count; ++k) sum += weight[k] * from[k * channels];
        *to++ = Round(sum);
      }
    }
  }
  return out;
}

io::Image ResizeHeight(const io::Image& image, int height, Interpolation interpolation) {
  const Axis axis = MakeAxis(image.height, height, interpolation);
  const size_t stride = static_cast<size_t>(image.width) * image.channels;
  io::Image out{image.width, height, image.channels, {}};
  out.pixels.resize(stride * height);
  std::vector<int32_t> sums(stride);
  for (int y = 0; y < height; ++y) {
    const Window& window = axis.windows[y];
    std::fill(sums.begin(), sums.end(), 1 << (kFractionBits - 1));
    for (int k = 0; k < window.count; ++k) {
      const int32_t weight = axis.weights[window.first_weight + k];
      const uint8_t* from = image.pixels.data() + stride * (window.first + k);
      for (size_t i = 0; i < stride; ++i) sums[i] += weight * from[i];
    }
    for (size_t i = 0; i < stride; ++i) out.pixels[stride * y + i] = Round(sums[i]);
  }
  return out;
}

io::Image ResizeNearest(const io::Image& image, int height, int width) {
  const int channels = image.channels;
  // floor((i + 0.5) * from / to) in whole numbers, so that ties do not depend on rounding.
  const auto source = [](int i, int from, int to) {
    return static_cast<size_t>((2 * int64_t{i} + 1) * from / (2 * int64_t{to}));
  };
  io::Image out{width, height, channels, {}};
  out.pixels.resize(static_cast<size_t>(width) * height * channels);
  uint8_t* to = out.pixels.data();
  for (int y = 0; y < height; ++y) {
    const size_t row = source(y, image.height, height) * image.width;
    for (int x = 0; x < width; ++x) {
      const size_t from = (row + source(x, image.width, width)) * channels;
      for (int c = 0; c < channels; ++c) *to++ = image.pixels[from + c];
    }
  }
  return out;
}

}  // namespace

io::Image Resize(const io::Image& image, int height, int width, Interpolation interpolation) {
  if (image.height == height && image.width == width) return image;
  if (interpolation == Interpolation::kNearest) return ResizeNearest(image, height, width);
  if (image.height == height) return ResizeWidth(image, width, interpolation);
  if (image.width == width) return ResizeHeight(image, height, interpolation);
  return ResizeHeight(ResizeWidth(image, width, interpolation), height, interpolation);
}

io::Image Crop(const io::Image& image, int top, int left, int height, int width) {
  INVARIANT(top >= 0 && left >= 0 && top + height <= image.height && left + width <= image.width,
            "crop outside of the image");
  if (height == image.height && width == image.width) return image;
  io::Image out{width, height, image.channels, {}};
  const size_t row = static_cast<size_t>(width) * image.channels;
  out.pixels.resize(row * height);
  for (int y = 0; y < height; ++y)
    std::memcpy(
        out.pixels.data() + row * y,
        image.pixels.data() + (static_cast<size_t>(top + y) * image.width + left) * image.channels,
        row);
  return out;
}

io::Image Luma(const io::Image& image) {
  INVARIANT(image.channels == 3, "luma of an image that is not RGB");
  io::Image out{image.width, image.height, 1, {}};
  out.pixels.resize(image.pixels.size() / 3);
  for (size_t i = 0; i < out.pixels.size(); ++i) {
    const uint8_t* rgb = image.pixels.data() + 3 * i;
    out.pixels[i] = static_cast<uint8_t>(
        (19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + (1u << 15)) >> 16);
  }
  return out;
}

}  // namespace roundel::data
