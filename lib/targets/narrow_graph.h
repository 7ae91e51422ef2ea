#pragma once
// Rebuilds one graph, and the bodies in it, with its float types.

#include <memory>
#include <vector>

#include "lib/targets/narrowing.h"

namespace roundel::target {

// `wanted`: the types of the outputs of a body, as the node around it has them; kUndefined, and
// past the end: as declared.
std::shared_ptr<graph::Graph> NarrowGraph(Narrowing s, const std::vector<DType>& wanted = {});

}  // namespace roundel::target
