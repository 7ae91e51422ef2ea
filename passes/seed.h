#pragma once
// The recipe's seed for draws that must not depend on their order, such as one for each sample.

#include <cstdint>

#include "passes/pass.h"

namespace roundel::passes {

// 0 for the recipe's seed 0.
inline uint64_t SeedOf(const Session& session) {
  Random first = session.random, zero(0);
  return first.Next() ^ zero.Next();
}

}  // namespace roundel::passes
