#include "lib/tune/mirrored_source.h"

#include <algorithm>

namespace roundel::tune {
namespace {

Tensor Mirrored(const Tensor& image) {
  if (image.rank() != 4 || image.dtype() != DType::kFloat || image.size() == 0) return image;
  Tensor mirrored = Tensor::Empty(DType::kFloat, image.shape());
  const int64_t width = image.dim(3);
  const float* from = image.data<float>();
  float* to = mirrored.mutable_data<float>();
  for (int64_t row = 0; row < image.size(); row += width)
    std::reverse_copy(from + row, from + row + width, to + row);
  return mirrored;
}

}  // namespace

Status MirroredSource::Rewind() {
  mirrored_.reset();
  return source_.Rewind();
}

Result<std::optional<Batch>> MirroredSource::Next() {
  if (mirrored_) return std::exchange(mirrored_, std::nullopt);
  ASSIGN_OR_RETURN(std::optional<Batch> batch, source_.Next());
  if (!batch) return batch;
  mirrored_ = *batch;
  for (Tensor& input : mirrored_->inputs) input = Mirrored(input);
  return batch;
}

}  // namespace roundel::tune
