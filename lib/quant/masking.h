#pragma once
// Additive attention masks. A large negative number (-10000, -1e9, the lowest float) is added
// to scores that must be ignored, and only a Softmax reads the sum. Its exponentials of masked
// values are zero, for any such values. A grid that covers them leaves no levels for
// the scores: with 8 bits and -10000 the step is 39. Statistics hold -infinity as the lowest
// float.

#include <optional>

#include "lib/quant/observers.h"

namespace roundel::quant {

// The least unmasked value; nullopt if no value looks masked. Masked values lie below zero, under
// a gap that is wider than 50 and than four times the span of all other values. Trained scores,
// with distance biases, leave no such gap, and exp(-50) is negligible against 1. If a mask is
// `known` to have been added, a gap of 30 and half the span suffices: -100 with scores from -20 to
// 20.
std::optional<double> LeastUnmasked(const Distribution& values, bool known = false);
// The mirror image, for masks that are subtracted.
std::optional<double> MostUnmasked(const Distribution& values, bool known = false);

// The evidence restricted to values >= `least`.
Evidence FromValue(const Evidence& evidence, double least);

// The distance that a grid must cover below the scores. The exponential of a masked value is then
// at most levels^-2 of the largest of its row, so that `levels` masked values add up to less than
// one step of a probability.
double MaskReach(const Grid& grid);

}  // namespace roundel::quant
