#pragma once
// A DataSource over batches in memory.

#include <optional>
#include <utility>
#include <vector>

#include "lib/tensor/data_source.h"

namespace roundel {

class StoredBatches : public DataSource {
 public:
  explicit StoredBatches(std::vector<Batch> batches) : batches_(std::move(batches)) {}
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

}  // namespace roundel
