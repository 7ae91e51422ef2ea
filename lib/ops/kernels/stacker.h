#pragma once
// Collects the tensors that the iterations of a loop give, one after another, into one with an axis
// more.

#include <string>
#include <vector>

#include "lib/ops/kernels/common.h"
#include "lib/tensor/datum.h"

namespace roundel::engine {

class Stacker {
 public:
  // kModel if it has another type or shape than those before, or the whole becomes too large.
  Status Append(const Datum& slice);
  int64_t count() const { return count_; }

  // The slices along a new `axis` of the result (negative: from its end), from the last to the
  // first if `reverse`. Without any slice: as `declared` describes one, unknown dimensions zero.
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

// A tensor of its own memory; kModel if it would be too large.
Result<Tensor> NewTensor(DType type, const Shape& shape);
// A copy that shares nothing with tensors that live during a call only.
Result<Tensor> OwnCopy(const Tensor& tensor);

}  // namespace roundel::engine
