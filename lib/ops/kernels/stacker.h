#pragma once
// Stacks the tensors of the iterations of a loop into one tensor with an additional axis.

#include <string>
#include <vector>

#include "lib/ops/kernels/common.h"
#include "lib/tensor/datum.h"

namespace roundel::engine {

class Stacker {
 public:
  // kModel if type or shape differ from those before, or if the result becomes too large.
  Status Append(const Datum& slice);
  int64_t count() const { return count_; }

  // The slices along a new `axis` of the result (negative: from its end), in reverse order if
  // `reverse`. Without slices: shape and type of a slice as in `declared`, unknown dimensions zero.
  // Ends the collection.
  Result<Tensor> Finish(int64_t axis, bool reverse, const graph::ValueInfo& declared);

 private:
  DType type_ = DType::kUndefined;
  Shape shape_;  // of a slice
  int64_t count_ = 0;
  std::string bytes_;
  std::vector<std::string> strings_;
};

// Slice `index` of `from` along `axis`, without that axis.
Result<Tensor> TakeSlice(const Tensor& from, int64_t axis, int64_t index);

// A tensor with its own memory; kModel if it would be too large.
Result<Tensor> NewTensor(DType type, const Shape& shape);
// A copy that shares no memory with tensors that are valid only during a call.
Result<Tensor> OwnCopy(const Tensor& tensor);

}  // namespace roundel::engine
