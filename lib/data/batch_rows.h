#pragma once
// Joining and splitting batches along the sample axis, for models whose batch size is fixed.

#include "lib/base/status.h"
#include "lib/engine/data_source.h"

namespace roundel::data {

// Adds the samples of `more` behind those of `batch` (which may be empty). kData if their shapes
// differ.
Status AppendRows(engine::Batch more, engine::Batch* batch);

// Removes and returns the first `count` samples; 0 < count <= batch->size.
engine::Batch TakeRows(int64_t count, engine::Batch* batch);

}  // namespace roundel::data
