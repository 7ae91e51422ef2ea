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

// The dims of a node's first output, if all its inputs are common (nullopt: left out); nothing for
// operators that are not known, or whose result is not determined.
std::optional<Sizes> CommonDims(const graph::Node& node,
                                const std::vector<std::optional<Common>>& inputs);

}  // namespace roundel::engine
