#pragma once
// The division of an array from a file into samples of one model input.

#include <cstdint>
#include <memory>

#include "lib/base/status.h"
#include "lib/data/dataset.h"
#include "lib/data/normalizer.h"
#include "lib/data/settings.h"
#include "lib/tensor/tensor.h"

namespace roundel::data {

class ArrayRows {
 public:
  // Errors: kData if shape or type do not fit `input`; kUsage for settings that contradict it.
  static Result<ArrayRows> Plan(const Tensor& array, const InputInfo& input,
                                const Settings& settings);

  // The shape of the tensor for `count` samples.
  Shape FedShape(int64_t count) const;
  bool CanJoin(const ArrayRows& other) const;  // in one batch
  int64_t sample_elements() const { return elements_; }
  DType type() const { return type_; }
  int64_t samples() const { return samples_; }
  // A scalar: the same in every batch.
  bool is_scalar() const { return is_scalar_; }
  // Samples have all axes of the input, including the first: each is a batch.
  bool is_whole() const { return is_whole_; }
  // 8-bit values, to which preset, scale, mean, std and channel_order apply.
  bool has_pixels() const { return normalizer_ != nullptr; }

  // Converts sample `row` of `array`. Requires the planned shape and type. Errors: kData for NaN
  // and for values that the type cannot hold.
  Status Read(const Tensor& array, int64_t row, void* to) const;

 private:
  Status FitShape(const Shape& array, const InputInfo& input, const Settings& settings);
  bool FitWhole(const Shape& array, const InputInfo& input);
  bool TryRow(const Shape& row, const InputInfo& input, const Settings& settings);

  Shape sample_shape_;  // without the batch axis unless is_whole_
  DType stored_type_ = DType::kUndefined, type_ = DType::kUndefined;
  int64_t samples_ = 1;
  int64_t elements_ = 1;  // of a sample
  bool is_scalar_ = false, is_whole_ = false;
  bool is_image_ = false;
  int64_t channels_ = 1;  // of an image
  Layout from_ = Layout::kNchw, to_ = Layout::kNchw;
  std::shared_ptr<const Normalizer> normalizer_;
};

}  // namespace roundel::data
