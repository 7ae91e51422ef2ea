#pragma once
// Ranges that follow from little data: the largest of few values lies below the largest of those to
// come, so that the range has to reach beyond what was seen, the further the less that was.
//
//   factor = 1 + (1 - samples / 16) * log2(4096 / values) / 10,   1 from 16 samples or 4096 values on
//
// The constants are those with which the worst of twelve models fares best that are calibrated on 1,
// 2, 4 and 8 samples and judged on others. Values of images are so many that nothing changes there.

#include "lib/quant/distribution.h"

namespace roundel::quant {

// By how much a range grows about the middle of its values.
double FewValuesFactor(int64_t samples, int64_t values);

// `range` was made of `seen`. An end that the method put before values that were seen stays, and so
// does one at which values pile up, which is a bound (zeros of a Relu, ones of a mask).
Range WidenedForFewValues(const Range& range, const Distribution& seen, int64_t samples);

}  // namespace roundel::quant
