#pragma once
// Wider ranges for small calibration sets. The maximum of few values underestimates the maximum of
// later data, so that the range is widened by a factor that falls with the amount of data.
//
//   factor = 1 + (1 - samples / 16) * log2(4096 / values) / 10;   1 from 16 samples or 4096 values
//
// The constants give the best worst case of twelve models that were calibrated on 1, 2, 4 and 8
// samples and evaluated on others. Images have so many values that the factor is 1.

#include "lib/quant/distribution.h"

namespace roundel::quant {

// The factor by which a range grows about its center.
double FewValuesFactor(int64_t samples, int64_t values);

// Requires: `range` was computed from `seen`. An end inside the seen values is kept. So is an end
// at which many values are equal, because it is a bound (zeros of a Relu, ones of a mask).
Range WidenedForFewValues(const Range& range, const Distribution& seen, int64_t samples);

}  // namespace roundel::quant
