#pragma once
// A DataSource over batches that a test made.

#include <utility>
#include <vector>

#include "lib/base/random.h"
#include "lib/tensor/data_source.h"

namespace roundel::support {

class VectorSource : public DataSource {
 public:
  explicit VectorSource(std::vector<Batch> batches) : batches_(std::move(batches)) {}
  int64_t size() const override {
    int64_t samples = 0;
    for (const Batch& batch : batches_) samples += batch.size;
    return samples;
  }
  Status Rewind() override {
    next_ = 0;
    return OkStatus();
  }
  Result<std::optional<Batch>> Next() override {
    if (next_ == batches_.size()) return std::optional<Batch>();
    return std::optional<Batch>(batches_[next_++]);
  }
  int64_t skipped() const override { return 0; }

 private:
  std::vector<Batch> batches_;
  size_t next_ = 0;
};

// Normal values of mean 0 and the given deviation.
inline Tensor RandomTensor(const Shape& shape, Random& random, double deviation = 1.0) {
  Tensor tensor = Tensor::Empty(DType::kFloat, shape);
  float* data = tensor.mutable_data<float>();
  for (int64_t i = 0, n = tensor.size(); i < n; ++i)
    data[i] = static_cast<float>(deviation * random.Normal());
  return tensor;
}

// `count` batches of one random tensor of `shape` (axis 0 = samples).
inline VectorSource RandomSource(const Shape& shape, int count, uint64_t seed) {
  Random random(seed);
  std::vector<Batch> batches;
  for (int i = 0; i < count; ++i) {
    Batch batch;
    batch.inputs = {RandomTensor(shape, random)};
    batch.size = shape[0];
    for (int64_t k = 0; k < batch.size; ++k)
      batch.sample_names.push_back("random[" + std::to_string(i * batch.size + k) + "]");
    batches.push_back(std::move(batch));
  }
  return VectorSource(std::move(batches));
}

}  // namespace roundel::support
