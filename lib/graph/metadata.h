#pragma once

#include <string>

#include "lib/graph/graph.h"

namespace roundel::graph {

// The value of a metadata key of the model; "" without one. Model::SetMetadata writes it.
std::string MetadataOf(const Model& model, const std::string& key);

}  // namespace roundel::graph
