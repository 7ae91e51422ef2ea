#pragma once
// Storage of tensors between two parts of a model: in memory up to a budget, then in an unnamed
// temporary file, which disappears with the process.

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel::walk {

class ValueStore;

// A tensor in a store. Requires: the store outlives it. Owns its memory or its place in the file.
class StoredValue {
 public:
  ~StoredValue();
  StoredValue(const StoredValue&) = delete;
  StoredValue& operator=(const StoredValue&) = delete;

  // The stored tensor, with floats rounded to 11 bits if that was allowed.
  Result<Tensor> Load() const;
  // Elements [begin, end) of axis 0. Requires: a tensor of numbers with axis 0, and 0 <= begin <=
  // end <= its size.
  Result<Tensor> LoadRows(int64_t begin, int64_t end) const;
  const Shape& shape() const { return shape_; }
  DType dtype() const { return type_; }

 private:
  friend class ValueStore;
  explicit StoredValue(ValueStore* store) : store_(store) {}

  Status ReadFile(int64_t begin, int64_t bytes, void* to) const;

  ValueStore* store_;
  DType type_ = DType::kFloat;  // of the original tensor
  Tensor value_;                // float16 if halved; undefined if in the file
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

  // `halve`: stores float32 tensors as float16 if their largest magnitude is between 0.01 and
  // 65504, with a relative error of 2^-11, and an absolute one of 2^-25 next to zero. Thread-safe.
  // Errors: kInternal if the disk is full.
  Result<StoredValuePtr> Put(const Tensor& value, bool halve);

  int64_t memory_bytes() const { return used_; }
  int64_t spilled_bytes() const { return spilled_; }  // bytes written so far

 private:
  friend class StoredValue;
  Status Spill(StoredValue* value);
  Status OpenFile();
  void Forget(const StoredValue& value);

  const int64_t budget_;
  const std::string folder_;
  std::atomic<int64_t> used_ = 0, spilled_ = 0;
  std::mutex mutex_;  // guards creation and growth of the file
  int fd_ = -1;
  int64_t end_ = 0;
};

}  // namespace roundel::walk
