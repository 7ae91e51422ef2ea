#pragma once
// Values that all samples of a batch have in common: constants, and what follows from constants and
// from sizes other than the number of samples. Positions along a sequence, causal masks and tables of
// rotary embeddings are of this kind. They are the same however a batch is parted.

#include <optional>
#include <string>
#include <vector>

#include "lib/engine/sample_sizes.h"

namespace roundel::engine {

struct Common {
  Sizes dims;                    // numbers, or kOther; never kSamples
  std::optional<Sizes> numbers;  // its elements, of small vectors of integers
};

// Operators whose only or first input keeps its shape and every element of which follows from the
// same place of it (and from parameters).
const std::vector<const char*>& PointwiseOps();
// Those of several operands, which numpy's rule brings to one shape.
const std::vector<const char*>& BroadcastOps();

// The dims of a node's first output, if all its inputs are common (nullopt: left out); nothing for
// operators that are not known, or whose result is not determined.
std::optional<Sizes> CommonDims(const graph::Node& node,
                                const std::vector<std::optional<Common>>& inputs);

}  // namespace roundel::engine
