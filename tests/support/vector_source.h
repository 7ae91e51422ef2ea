#pragma once
// A DataSource over batches that a test made.

#include <utility>
#include <vector>

#include "lib/base/random.h"
#include "lib/tensor/stored_batches.h"

namespace roundel::support {

using VectorSource = StoredBatches;

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
