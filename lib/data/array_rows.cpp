#include "lib/data/array_rows.h"

#include <cstring>
#include <utility>
#include <vector>

#include "lib/base/text.h"
#include "lib/data/convert.h"
#include "lib/data/image_plan.h"
#include "lib/data/loaders.h"

namespace roundel::data {
namespace {

// [H, W, C] from [C, H, W] or back.
Shape Reordered(const Shape& row, Layout from) {
  if (from == Layout::kNhwc) return {row[2], row[0], row[1]};
  return {row[1], row[2], row[0]};
}

// Whether a sample of this shape fits the model's input without its batch axis.
bool Fits(const Shape& row, const Shape& model) {
  if (row.size() + 1 != model.size()) return false;
  for (size_t i = 0; i < row.size(); ++i)
    if (model[i + 1] >= 0 && model[i + 1] != row[i]) return false;
  return true;
}

// Whether `fed` can be all of the model's input.
bool FitsWhole(const Shape& fed, const Shape& model) {
  if (fed.size() != model.size()) return false;
  for (size_t i = 0; i < fed.size(); ++i)
    if (model[i] >= 0 && model[i] != fed[i]) return false;
  return true;
}

Layout Opposite(Layout layout) { return layout == Layout::kNchw ? Layout::kNhwc : Layout::kNchw; }

// Interleaved to planar or back: a transpose of the [outer, inner] matrix of elements.
void Transpose(const std::byte* from, int64_t outer, int64_t inner, int64_t width, std::byte* to) {
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i)
      std::memcpy(to + (i * outer + o) * width, from + (o * inner + i) * width,
                  static_cast<size_t>(width));
}

}  // namespace

bool ArrayRows::TryRow(const Shape& row, const InputInfo& input, const Settings& settings) {
  const Result<ImageInput> image = FindImageAxes(input, settings.layout);
  is_image_ = image.ok() && row.size() == 3;
  if (!is_image_) {
    sample_shape_ = row;
    return input.shape.empty() || Fits(row, input.shape);
  }
  channels_ = image->channels;
  to_ = image->layout;
  for (const Layout from : {to_, Opposite(to_)}) {
    if (settings.array_layout != Layout::kAuto && settings.array_layout != from) continue;
    sample_shape_ = from == to_ ? row : Reordered(row, from);
    from_ = from;
    const bool has_channels = sample_shape_[to_ == Layout::kNchw ? 0 : 2] == channels_;
    if (has_channels && (input.shape.empty() || Fits(sample_shape_, input.shape))) return true;
  }
  return false;
}

Shape ArrayRows::FedShape(int64_t count) const {
  Shape shape = sample_shape_;
  if (!is_scalar_ && !is_whole_) shape.insert(shape.begin(), count);
  return shape;
}

bool ArrayRows::CanJoin(const ArrayRows& other) const {
  const bool alone = is_scalar_ || is_whole_ || other.is_whole_;
  return !alone && sample_shape_ == other.sample_shape_ && type_ == other.type_;
}

// The array is one sample, possibly with a leading batch axis of 1, or it holds several samples
// along an additional axis.
bool ArrayRows::FitWhole(const Shape& array, const InputInfo& input) {
  is_whole_ = true;
  is_image_ = false;
  samples_ = 1;
  sample_shape_ = array;
  if (input.shape.empty() || FitsWhole(array, input.shape)) return true;
  sample_shape_.insert(sample_shape_.begin(), 1);
  if (FitsWhole(sample_shape_, input.shape)) return true;
  is_whole_ = array.size() == input.shape.size() + 1;
  if (!is_whole_) return false;
  samples_ = array[0];
  sample_shape_ = {array.begin() + 1, array.end()};
  return is_whole_ = samples_ > 0 && FitsWhole(sample_shape_, input.shape);
}

// Any dynamic axis but the sample axis may have size 0: an empty cache.
Status ArrayRows::FitShape(const Shape& array, const InputInfo& input, const Settings& settings) {
  const size_t rank = input.shape.size();
  if (array.empty() && rank == 0) {
    is_scalar_ = true;
    return OkStatus();
  }
  if (settings.whole_files) {
    if (FitWhole(array, input)) return OkStatus();
  } else if (!array.empty() && array[0] == 0) {
    return DataError(
        StrCat("array of shape ", ShapeString(array),
               " holds no sample, since its first axis is of size 0 (sample=file takes it as "
               "it is)"));
  }
  if (!settings.whole_files && !array.empty() && (rank == 0 || array.size() == rank)) {
    samples_ = array[0];
    if (TryRow({array.begin() + 1, array.end()}, input, settings)) return OkStatus();
  }
  if (!settings.whole_files && rank > 0 && array.size() + 1 == rank) {
    samples_ = 1;  // the array is one sample
    if (TryRow(array, input, settings)) return OkStatus();
    if (rank == 4) {  // grayscale images without a channel axis
      samples_ = array[0];
      if (TryRow({1, array[1], array[2]}, input, settings)) return OkStatus();
    }
  }
  if (array.size() == rank + 1 && FitWhole(array, input)) return OkStatus();
  return DataError(StrCat("array of shape ", ShapeString(array), " does not fit model input '",
                          input.name, "' of shape ", ShapeString(input.shape)));
}

Result<ArrayRows> ArrayRows::Plan(const Tensor& array, const InputInfo& input,
                                  const Settings& settings) {
  ArrayRows rows;
  rows.stored_type_ = array.dtype();
  ASSIGN_OR_RETURN(rows.type_, FedType(settings, input));
  if (input.dtype == DType::kUndefined && settings.type == DType::kUndefined)
    rows.type_ = array.dtype();
  RETURN_IF_ERROR(rows.FitShape(array.shape(), input, settings));
  rows.elements_ = NumElements(rows.sample_shape_);
  const bool wants_pixels = IsFloating(rows.type_) || settings.normalizes || settings.bgr;
  if (array.dtype() == DType::kUint8 && wants_pixels && !rows.is_scalar_) {
    ASSIGN_OR_RETURN(Normalizer normalizer,
                     Normalizer::Create(settings, rows.is_image_ ? rows.channels_ : 1, rows.type_));
    rows.normalizer_ = std::make_shared<const Normalizer>(std::move(normalizer));
  } else if (!CanConvert(array.dtype(), rows.type_)) {
    return DataError(StrCat("array of ", DTypeName(array.dtype()), " cannot feed model input '",
                            input.name, "' of ", DTypeName(rows.type_)));
  }
  return rows;
}

Status ArrayRows::Read(const Tensor& array, int64_t row, void* to) const {
  if (elements_ == 0) return OkStatus();
  const int64_t width = BitWidth(stored_type_) / 8;
  const std::byte* from = static_cast<const std::byte*>(array.raw()) + row * elements_ * width;
  if (normalizer_ != nullptr) {
    const int64_t channels = is_image_ ? channels_ : 1;
    normalizer_->Apply(reinterpret_cast<const uint8_t*>(from), from_, elements_ / channels, to,
                       to_);
    return OkStatus();
  }
  std::vector<std::byte> reordered;
  if (is_image_ && from_ != to_) {
    const int64_t pixels = elements_ / channels_;
    reordered.resize(static_cast<size_t>(elements_ * width));
    if (from_ == Layout::kNhwc)
      Transpose(from, pixels, channels_, width, reordered.data());
    else
      Transpose(from, channels_, pixels, width, reordered.data());
    from = reordered.data();
  }
  return ConvertElements(stored_type_, from, elements_, type_, to);
}

}  // namespace roundel::data
