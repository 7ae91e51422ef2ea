#pragma once
// Activations that exporters write as several nodes which all read the chain's result.

#include "lib/engine/chain.h"

namespace roundel::engine {

// Both append the activation and return true, or return false if it does not follow.

// x -> Sigmoid -> Mul(x, .) is swish; with HardSigmoid(1/6, 1/2) it is hard swish.
bool GrowSwish(Chaining& s, Chain* chain);

// x / 2 * (1 + erf(x / sqrt(2))), with the factor 1/2 on x, on the sum, or on their product.
bool GrowGelu(Chaining& s, Chain* chain);

}  // namespace roundel::engine
