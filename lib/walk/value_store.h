#pragma once
// Tensors put aside between two parts of a model: in memory up to a budget, beyond it in a temporary
// file that nobody else sees and that is gone when the process is.

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel::walk {

class ValueStore;

// A tensor in a store, which must outlive it; its memory or its place in the file goes with it.
class StoredValue {
 public:
  ~StoredValue();
  StoredValue(const StoredValue&) = delete;
  StoredValue& operator=(const StoredValue&) = delete;

  // As it was put aside, floats rounded to 11 bits where that was allowed.
  Result<Tensor> Load() const;

 private:
  friend class ValueStore;
  explicit StoredValue(ValueStore* store) : store_(store) {}

  ValueStore* store_;
  DType type_ = DType::kFloat;  // of what was put aside
  Tensor value_;                // float16 for float32 that was halved; undefined if in the file
  DType held_ = DType::kFloat;
  Shape shape_;
  int64_t offset_ = -1, bytes_ = 0;  // in the file
};
using StoredValuePtr = std::shared_ptr<const StoredValue>;

class ValueStore {
 public:
  // `folder` of the temporary file; "": that of the system (TMPDIR or /tmp).
  explicit ValueStore(int64_t memory_bytes, std::string folder = "");
  ~ValueStore();
  ValueStore(const ValueStore&) = delete;
  ValueStore& operator=(const ValueStore&) = delete;

  // `halve`: float32 tensors are kept as float16 if their largest magnitude lies between 0.01 and
  // 65504, an error of 2^-11 of each value and 2^-25 of those next to zero; others as they are. Safe
  // from several threads. kInternal when the disk is full.
  Result<StoredValuePtr> Put(const Tensor& value, bool halve);

  int64_t memory_bytes() const { return used_; }
  int64_t spilled_bytes() const { return spilled_; }  // written so far

 private:
  friend class StoredValue;
  Status Spill(StoredValue* value);
  Status OpenFile();
  void Forget(const StoredValue& value);

  const int64_t budget_;
  const std::string folder_;
  std::atomic<int64_t> used_ = 0, spilled_ = 0;
  std::mutex mutex_;  // guards the file's making and its end
  int fd_ = -1;
  int64_t end_ = 0;
};

}  // namespace roundel::walk
