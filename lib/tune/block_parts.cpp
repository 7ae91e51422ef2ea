#include "lib/tune/block_parts.h"

#include <algorithm>
#include <set>

namespace roundel::tune {
using structure::Block;
using walk::Stretches;

Stretches::Part Prelude(const graph::Graph& graph, const std::vector<Block>& blocks) {
  std::set<std::string> wanted, made, inputs;
  std::vector<std::string> computed;  // by blocks
  for (const Block& block : blocks) {
    wanted.insert(block.inputs.begin(), block.inputs.end());
    for (const size_t i : block.nodes)
      for (const std::string& value : graph.nodes()[i]->outputs) computed.push_back(value);
  }
  Stretches::Part part;
  part.nodes = walk::NodesBetween(graph, computed, {wanted.begin(), wanted.end()});
  for (const size_t i : part.nodes) {
    for (const std::string& value : walk::ReadsOf(graph, *graph.nodes()[i]))
      if (!made.contains(value)) inputs.insert(value);
    for (const std::string& value : graph.nodes()[i]->outputs) made.insert(value);
  }
  part.inputs.assign(inputs.begin(), inputs.end());
  for (const std::string& value : made)
    if (wanted.contains(value)) part.outputs.push_back(value);
  return part;
}

bool ReadAfter(const std::vector<Block>& blocks, size_t index, const std::string& value) {
  return std::any_of(
      blocks.begin() + static_cast<int64_t>(index) + 1, blocks.end(), [&](const Block& later) {
        return std::find(later.inputs.begin(), later.inputs.end(), value) != later.inputs.end();
      });
}

Stretches::Part PartOf(const std::vector<Block>& blocks, size_t index) {
  const Block& block = blocks[index];
  Stretches::Part part{.nodes = block.nodes, .inputs = block.inputs, .outputs = {}};
  for (size_t i = 0; i < block.outputs.size(); ++i)
    if (i < block.targets || ReadAfter(blocks, index, block.outputs[i]))
      part.outputs.push_back(block.outputs[i]);
  return part;
}

}  // namespace roundel::tune
