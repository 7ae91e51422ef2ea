#pragma once
// Appends nodes to a chain that its kernel computes together with the first one.

#include "lib/engine/chain.h"

namespace roundel::engine {

void GrowChain(Chaining& s, Chain* chain);

}  // namespace roundel::engine
