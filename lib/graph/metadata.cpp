#include "lib/graph/metadata.h"

namespace roundel::graph {

std::string MetadataOf(const Model& model, const std::string& key) {
  for (const auto& [name, value] : model.metadata)
    if (name == key) return value;
  return "";
}

}  // namespace roundel::graph
