#pragma once
// Ranges of a constant, one per scale.

#include <vector>

#include "lib/quant/encodings.h"
#include "lib/quant/observers.h"

namespace roundel::quant {

// Minimum and maximum of each set of elements that shares a scale, in the order of
// Encoding::params; {0, 0} for an empty set. Requires: float32; granularity, axis and block_size of
// `layout` fit the shape. Errors: kModel for NaN and infinity.
Result<std::vector<Range>> TensorRanges(const Tensor& value, const Encoding& layout);
// The range by `method` of each of these sets for layout.grid: the same search as for activations,
// on the values themselves (on their histogram from 2^18 values per scale on).
Result<std::vector<Range>> TensorRanges(const Tensor& value, const Encoding& layout,
                                        const Observer& method);

}  // namespace roundel::quant
