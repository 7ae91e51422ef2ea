#pragma once
// Joining and splitting batches along the sample axis, for models whose batch size is fixed.

#include "lib/base/status.h"
#include "lib/tensor/data_source.h"

namespace roundel::data {

// Appends the samples of `more` to `batch` (which may be empty). Errors: kData if their shapes
// differ.
Status AppendRows(Batch more, Batch* batch);

// Removes and returns the first `count` samples. Requires 0 < count <= batch->size.
Batch TakeRows(int64_t count, Batch* batch);

}  // namespace roundel::data
