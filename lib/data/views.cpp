#include "lib/data/views.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lib/base/parallel.h"
#include "lib/base/random.h"

namespace roundel::data {
namespace {

// The part of an image that a view shows, in shares of its sides.
struct Window {
  double top = 0, left = 0, side = 1;
  bool mirrored = false;
};

Window Choose(const ViewOptions& options, int64_t view, Random& random) {
  if (view == 1 && options.mirror) return {.mirrored = true};
  Window window;
  window.side = kSmallestView + (kLargestView - kSmallestView) * random.Uniform();
  window.top = (1 - window.side) * random.Uniform();
  window.left = (1 - window.side) * random.Uniform();
  window.mirrored = options.mirror && random.Uniform() < 0.5;
  return window;
}

// The two pixels between which each pixel of the view lies, and the share of the second.
struct Source {
  int64_t first, second;
  float share;
};

std::vector<Source> SourcesOf(int64_t size, double begin, double side, bool mirrored) {
  std::vector<Source> sources(static_cast<size_t>(size));
  for (int64_t i = 0; i < size; ++i) {
    const double center =
        (begin + (static_cast<double>(i) + 0.5) / static_cast<double>(size) * side) *
            static_cast<double>(size) -
        0.5;
    const double at = std::clamp(center, 0.0, static_cast<double>(size - 1));
    const auto first = static_cast<int64_t>(at);
    sources[static_cast<size_t>(i)] = {first, std::min(first + 1, size - 1),
                                       static_cast<float>(at - static_cast<double>(first))};
  }
  if (mirrored) std::reverse(sources.begin(), sources.end());
  return sources;
}

// `inner`: values of a pixel that lie side by side.
void Show(const float* image, const std::vector<Source>& rows, const std::vector<Source>& columns,
          int64_t inner, float* view) {
  const auto width = static_cast<int64_t>(columns.size());
  for (const Source& y : rows) {
    const float *above = image + y.first * width * inner, *below = image + y.second * width * inner;
    for (const Source& x : columns)
      for (int64_t c = 0; c < inner; ++c) {
        const int64_t left = x.first * inner + c, right = x.second * inner + c;
        const float upper = above[left] + x.share * (above[right] - above[left]);
        const float lower = below[left] + x.share * (below[right] - below[left]);
        *view++ = upper + y.share * (lower - upper);
      }
  }
}

Tensor ViewOf(const Tensor& images, Layout layout, const std::vector<Window>& windows) {
  const bool planes = layout == Layout::kNchw;
  const int64_t height = images.dim(planes ? 2 : 1), width = images.dim(planes ? 3 : 2);
  const int64_t inner = planes ? 1 : images.dim(3), per_image = planes ? images.dim(1) : 1;
  Tensor views = Tensor::Empty(DType::kFloat, images.shape());
  float* to = views.mutable_data<float>();
  ParallelFor(images.dim(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const Window& window = windows[static_cast<size_t>(n)];
      const std::vector<Source> rows = SourcesOf(height, window.top, window.side, false);
      const std::vector<Source> columns =
          SourcesOf(width, window.left, window.side, window.mirrored);
      for (int64_t p = n * per_image; p < (n + 1) * per_image; ++p)
        Show(images.data<float>() + p * height * width * inner, rows, columns, inner,
             to + p * height * width * inner);
    }
  });
  return views;
}

}  // namespace

Status Views::Rewind() {
  batch_.reset();
  number_ = view_ = -1;
  return source_->Rewind();
}

Result<std::optional<Batch>> Views::Next() {
  if (!batch_ || ++view_ == options_.count) {
    ASSIGN_OR_RETURN(batch_, source_->Next());
    ++number_;
    view_ = 0;
    return batch_;
  }
  Batch shown = *batch_;
  Random random(options_.seed ^ (static_cast<uint64_t>(number_) * 0x9e3779b97f4a7c15ULL) ^
                (static_cast<uint64_t>(view_) << 48));
  std::vector<Window> windows;
  for (int64_t n = 0; n < shown.size; ++n) windows.push_back(Choose(options_, view_, random));
  for (size_t i = 0; i < shown.inputs.size(); ++i) {
    Tensor& input = shown.inputs[i];
    if (layouts_[i] && input.dtype() == DType::kFloat && input.rank() == 4 && input.size() > 0 &&
        input.dim(0) == shown.size)
      input = ViewOf(input, *layouts_[i], windows);
  }
  return std::optional(std::move(shown));
}

}  // namespace roundel::data
