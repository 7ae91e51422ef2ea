#pragma once
// Values that are equal for all samples of a batch: constants, and values computed from constants
// and from sizes other than the number of samples, such as positions along a sequence, causal masks
// and tables of rotary embeddings. They do not depend on how a batch is split.

#include <optional>
#include <string>
#include <vector>

#include "lib/engine/sample_sizes.h"

namespace roundel::engine {

struct Common {
  Sizes dims;                    // numbers, or kOther; never kSamples
  std::optional<Sizes> numbers;  // its elements, of small vectors of integers
};

// The dims of a node's first output, if all its inputs are common (nullopt: absent). nullopt for
// unknown operators, and if the result is not determined.
std::optional<Sizes> CommonDims(const graph::Node& node,
                                const std::vector<std::optional<Common>>& inputs);

}  // namespace roundel::engine
