#pragma once
// Sizes that a graph computes from shapes: scalars and small vectors of integers. Each element is a
// known number, the number of samples or a multiple of it, or another number that does not depend
// on the number of samples.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::engine {

using Sizes = std::vector<int64_t>;
inline constexpr int64_t kSamples = std::numeric_limits<int64_t>::min(), kOther = kSamples + 1;
inline constexpr int64_t kMaxSizes = 64;

struct RankedSizes {
  Sizes numbers;
  int64_t rank = 1;  // 0 or 1
};

// Whether an element from `begin` on is the number of samples.
bool HaveSamples(const Sizes& sizes, size_t begin = 0);
// Whether these are the dims of a tensor in which only axis 0 depends on the number of samples.
bool AreOfBatch(const std::optional<Sizes>& sizes);

// The result of Shape, with its attributes `start` and `end`.
Sizes ShapePart(const graph::Node& node, const Sizes& shape);

// The result of an operator on sizes; nullopt if it is unknown, or depends on the number of samples
// in another way than as a multiple. Absent inputs, and inputs that are neither sizes nor
// constants, are nullopt.
std::optional<RankedSizes> ComputeSizes(const graph::Node& node,
                                        const std::vector<std::optional<RankedSizes>>& inputs);

}  // namespace roundel::engine
