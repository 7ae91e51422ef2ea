#include "lib/tensor/first_samples.h"

#include <utility>

namespace roundel {
namespace {

Tensor FirstRows(const Tensor& tensor, int64_t rows) {
  Shape shape = tensor.shape();
  shape[0] = rows;
  Tensor part = Tensor::Empty(tensor.dtype(), shape);
  std::copy_n(static_cast<const std::byte*>(tensor.raw()), part.byte_size(),
              static_cast<std::byte*>(part.mutable_raw()));
  return part;
}

}  // namespace

Batch FirstOf(const Batch& batch, int64_t count) {
  const auto counts_samples = [&](const Tensor& input) {
    return input.rank() > 0 && input.dim(0) == batch.size;
  };
  if (batch.size <= count || !std::all_of(batch.inputs.begin(), batch.inputs.end(), counts_samples))
    return batch;
  Batch first{.size = count};
  for (const Tensor& input : batch.inputs) first.inputs.push_back(FirstRows(input, count));
  const auto rows = static_cast<size_t>(count);
  first.sample_names.assign(batch.sample_names.begin(),
                            batch.sample_names.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                             rows, batch.sample_names.size())));
  first.labels.assign(
      batch.labels.begin(),
      batch.labels.begin() + static_cast<std::ptrdiff_t>(std::min(rows, batch.labels.size())));
  return first;
}

Status FirstSamples::Rewind() {
  taken_ = 0;
  return source_.Rewind();
}

Result<std::optional<Batch>> FirstSamples::Next() {
  if (taken_ >= count_) return std::optional<Batch>();
  ASSIGN_OR_RETURN(std::optional<Batch> batch, source_.Next());
  if (!batch) return batch;
  Batch first = FirstOf(*batch, count_ - taken_);
  taken_ += first.size;
  return std::optional<Batch>(std::move(first));
}

}  // namespace roundel
