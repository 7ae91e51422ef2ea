#pragma once
// Additive masks of attention. Scores that are to be ignored have a large negative number added to
// them (-10000, -1e9, the lowest float), and only a Softmax reads the sum. Its exponentials are
// zero whatever the masked values are exactly; a grid that reaches down to them has no levels left
// for the scores, though: with 8 bits and -10000 a step is 39. Statistics hold -infinity as the
// lowest float.

#include <optional>

#include "lib/quant/observers.h"

namespace roundel::quant {

// The least of the values above the mask; nothing if none of them looks masked. What is masked lies
// below zero, with a gap above it that is wider than 50 and four times what all the others span.
// Trained scores, biases by distance included, leave no such gap; and exp(-50) is nothing beside
// one. Where a mask is `known` to have entered, 30 and half the span tell it apart from scores: -100
// beside scores from -20 to 20.
std::optional<double> LeastUnmasked(const Distribution& values, bool known = false);
// The same the other way up, of masks that are subtracted.
std::optional<double> MostUnmasked(const Distribution& values, bool known = false);

// What was seen of the values from `least` on.
Evidence FromValue(const Evidence& evidence, double least);

// How far a grid must reach below the scores. A masked value is then no more than levels^-2 of the
// largest of its row, so that a mask of as many values as there are levels adds up to less than one
// step of a probability.
double MaskReach(const Grid& grid);

}  // namespace roundel::quant
