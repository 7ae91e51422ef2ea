#pragma once
// More images from few: every batch comes again with its images mirrored and cropped.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "lib/data/settings.h"
#include "lib/tensor/data_source.h"

namespace roundel::data {

struct ViewOptions {
  int64_t count = 2;   // of each sample, the sample itself among them
  bool mirror = true;  // view 1 is the mirror image, and half of the others are mirrored
  uint64_t seed = 0;
};

// Every batch of the source, followed by its views. View 1 is the image mirrored left to right; the
// others, and view 1 without mirroring, are crops of kSmallestView to kLargestView of the sides, at
// random places, enlarged to the size of the image (bilinear, centers of pixels at half numbers).
// The seed, the number of the batch and that of the view determine them.
inline constexpr double kSmallestView = 0.55, kLargestView = 0.95;

class Views final : public DataSource {
 public:
  // `layouts`: of each input that holds images (float32, four axes); nullopt: it stays as it is.
  Views(std::unique_ptr<DataSource> source, std::vector<std::optional<Layout>> layouts,
        ViewOptions options)
      : source_(std::move(source)), layouts_(std::move(layouts)), options_(options) {}

  int64_t size() const override { return options_.count * source_->size(); }
  int64_t views() const override { return options_.count; }
  Status Rewind() override;
  Result<std::optional<Batch>> Next() override;
  int64_t skipped() const override { return options_.count * source_->skipped(); }

 private:
  const std::unique_ptr<DataSource> source_;
  const std::vector<std::optional<Layout>> layouts_;
  const ViewOptions options_;
  std::optional<Batch> batch_;       // the last one of the source
  int64_t number_ = -1, view_ = -1;  // of that batch, and of the last view of it
};

}  // namespace roundel::data
