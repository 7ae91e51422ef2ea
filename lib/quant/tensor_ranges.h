#pragma once
// Ranges of a constant, one per scale.

#include <vector>

#include "lib/quant/encodings.h"
#include "lib/quant/observers.h"

namespace roundel::quant {

// Minimum and maximum of each run of elements that shares a scale, in the order of
// Encoding::params; {0, 0} for an empty run. `layout` gives granularity, axis and block size, which
// must fit the shape. kModel for NaN and infinity; float32 only.
Result<std::vector<Range>> TensorRanges(const Tensor& value, const Encoding& layout);
// What `method` makes of each of the runs for layout.grid: the same search as for activations, on
// the values themselves (from 2^18 of them on one scale on, on their histogram).
Result<std::vector<Range>> TensorRanges(const Tensor& value, const Encoding& layout,
                                        const Observer& method);

}  // namespace roundel::quant
