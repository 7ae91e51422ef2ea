#pragma once
// Sizes that a graph computes from shapes: scalars and small vectors of integers whose elements are
// known numbers, the number of samples or a multiple of it, or anything else that does not depend on
// that number.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::engine {

using Sizes = std::vector<int64_t>;
inline constexpr int64_t kSamples = std::numeric_limits<int64_t>::min(), kOther = kSamples + 1;
inline constexpr int64_t kMostSizes = 64;

struct RankedSizes {
  Sizes numbers;
  int64_t rank = 1;  // 0 or 1
};

// Whether an element from `begin` on is the number of samples.
bool HaveSamples(const Sizes& sizes, size_t begin = 0);
// Whether they are those of a tensor whose axis 0 alone counts samples.
bool AreOfBatch(const std::optional<Sizes>& sizes);

// What Shape gives, with its attributes `start` and `end`.
Sizes ShapePart(const graph::Node& node, const Sizes& shape);

// What an operator makes of sizes; nothing if that is not known, or depends on the number of
// samples otherwise than by being a multiple of it. Of inputs left out, and others than sizes and
// constants, there are none.
std::optional<RankedSizes> ComputeSizes(const graph::Node& node,
                                        const std::vector<std::optional<RankedSizes>>& inputs);

}  // namespace roundel::engine
