#include "lib/walk/columns.h"

#include <algorithm>

#include "lib/base/text.h"

namespace roundel::walk {
namespace {

constexpr int64_t kMaxSpatialAxes = 3;

}  // namespace

Result<Columns> Columns::Create(const graph::WeightedLayer& layer, const Shape& weight,
                                const Shape& input) {
  Columns columns;
  const auto rank = static_cast<int64_t>(input.size());
  const bool convolution = graph::IsConvolution(layer);
  const auto misfit = [&] {
    return ModelError(StrCat("node ", layer.node->DisplayName(), ": input of shape ",
                             ShapeString(input), " does not fit the weight of shape ",
                             ShapeString(weight)));
  };
  if (rank < (convolution ? 3 : 1) || (convolution && rank != std::ssize(weight))) return misfit();
  if (convolution && rank > 2 + kMaxSpatialAxes)
    return ModelError(StrCat("node ", layer.node->DisplayName(), ": more than ", kMaxSpatialAxes,
                             " spatial axes"));
  const bool left = layer.weight_index == 0;
  if (left && rank < 2) return misfit();
  columns.channels_ = convolution ? input[1] : left ? input[rank - 2] : input.back();
  columns.in_per_group_ = layer.in_per_group;
  if (columns.channels_ * layer.stack != layer.in_channels()) return misfit();
  columns.size_ = layer.in_per_group;
  if (!convolution) {
    columns.positions_ = NumElements(input) / std::max<int64_t>(1, columns.channels_);
    if (left) columns.pixels_ = input.back();
    if (layer.stack > 1) RETURN_IF_ERROR(columns.SetMatrices(layer, weight, input));
    return columns;
  }
  const Shape spatial(input.begin() + 2, input.end());
  columns.pixels_ = NumElements(spatial);
  columns.positions_ = input[0] * columns.pixels_;
  if (layer.node->Is("ConvTranspose")) return columns;
  columns.window_ = true;
  columns.size_ *= layer.kernel;
  ASSIGN_OR_RETURN(
      columns.geometry_,
      engine::ResolveWindow(*layer.node, spatial, Shape(weight.begin() + 2, weight.end()), false));
  columns.positions_ = input[0] * NumElements(columns.geometry_.output);
  columns.SetTaps();
  return columns;
}

// Aligned as the axes before the last two broadcast.
Status Columns::SetMatrices(const graph::WeightedLayer& layer, const Shape& weight,
                            const Shape& input) {
  const auto axes =
      std::max<int64_t>(std::ssize(weight), std::max<int64_t>(2, std::ssize(input))) - 2;
  const auto size = [&](const Shape& shape, int64_t axis) {  // positions in the common axes
    const int64_t own = axis - (axes - (std::ssize(shape) - 2));
    return own < 0 ? int64_t{1} : shape[static_cast<size_t>(own)];
  };
  pairs_ = {{0, 0}};
  for (int64_t axis = 0; axis < axes; ++axis) {
    const int64_t x = size(input, axis), w = size(weight, axis);
    if (x != w && x != 1 && w != 1)
      return ModelError(StrCat("node ", layer.node->DisplayName(), ": ", ShapeString(input),
                               " and the weight's ", ShapeString(weight), " do not broadcast"));
    std::vector<Pair> longer;
    for (const Pair& pair : pairs_)
      for (int64_t i = 0; i < (x == 1 ? w : x); ++i)
        longer.push_back({pair.input * x + (x == 1 ? 0 : i), pair.weight * w + (w == 1 ? 0 : i)});
    pairs_ = std::move(longer);
  }
  rows_ = input.size() < 2 ? 1 : input[input.size() - 2];
  positions_ = std::ssize(pairs_) * rows_;
  in_per_group_ = channels_;
  return OkStatus();
}

void Columns::SetTaps() {
  const engine::Window& w = geometry_;
  taps_ = {0};
  for (size_t d = 0; d < w.kernel.size(); ++d) {
    std::vector<int64_t> finer;
    for (const int64_t tap : taps_)
      for (int64_t k = 0; k < w.kernel[d]; ++k)
        finer.push_back(tap * w.input[d] + k * w.dilations[d]);
    taps_ = std::move(finer);
  }
}

void Columns::ReadWindow(const float* input, int64_t position, int64_t group, float* row) const {
  const engine::Window& w = geometry_;
  const size_t axes = w.kernel.size();
  const int64_t taps = std::ssize(taps_);
  int64_t start[kMaxSpatialAxes] = {}, rest = position;
  bool whole = true;  // whether no tap is in the padding
  for (size_t d = axes; d-- > 0;) {
    start[d] = rest % w.output[d] * w.strides[d] - w.pads_begin[d];
    rest /= w.output[d];
    whole = whole && start[d] >= 0 && start[d] + (w.kernel[d] - 1) * w.dilations[d] < w.input[d];
  }
  const float* first = input + (rest * channels_ + group * in_per_group_) * pixels_;
  if (whole) {
    int64_t corner = 0;
    for (size_t d = 0; d < axes; ++d) corner = corner * w.input[d] + start[d];
    for (int64_t c = 0; c < in_per_group_; ++c)
      for (int64_t tap = 0; tap < taps; ++tap)
        row[c * taps + tap] = first[c * pixels_ + corner + taps_[static_cast<size_t>(tap)]];
    return;
  }
  int64_t at[kMaxSpatialAxes] = {};  // the tap
  for (int64_t tap = 0; tap < taps; ++tap) {
    int64_t pixel = 0;
    bool inside = true;
    for (size_t d = 0; d < axes; ++d) {
      const int64_t x = start[d] + at[d] * w.dilations[d];
      inside = inside && x >= 0 && x < w.input[d];
      pixel = pixel * w.input[d] + x;
    }
    for (int64_t c = 0; c < in_per_group_; ++c)
      row[c * taps + tap] = inside ? first[c * pixels_ + pixel] : 0.0f;
    for (size_t d = axes; d-- > 0;) {
      if (++at[d] < w.kernel[d]) break;
      at[d] = 0;
    }
  }
}

void Columns::Read(const float* input, std::span<const int64_t> chosen, int64_t group,
                   float* rows) const {
  for (size_t i = 0; i < chosen.size(); ++i) {
    float* row = rows + static_cast<int64_t>(i) * size_;
    if (window_) {
      ReadWindow(input, chosen[i], group, row);
      continue;
    }
    if (!pairs_.empty()) {
      const Pair& pair = pairs_[static_cast<size_t>(chosen[i] / rows_)];
      std::fill_n(row, size_, 0.0f);
      std::copy_n(input + (pair.input * rows_ + chosen[i] % rows_) * channels_, channels_,
                  row + pair.weight * channels_);
      continue;
    }
    const int64_t sample = chosen[i] / pixels_, pixel = chosen[i] % pixels_;
    const float* first = input + (sample * channels_ + group * in_per_group_) * pixels_ + pixel;
    for (int64_t c = 0; c < in_per_group_; ++c) row[c] = first[c * pixels_];
  }
}

}  // namespace roundel::walk
