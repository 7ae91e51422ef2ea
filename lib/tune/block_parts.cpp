#include "lib/tune/block_parts.h"

#include <algorithm>
#include <set>

namespace roundel::tune {
namespace {

using structure::Block;
using walk::Stretches;

std::vector<std::string> ReadsOf(const graph::Graph& graph, const graph::Node& node) {
  std::vector<std::string> values = graph::OuterReads(node);
  values.insert(values.end(), node.inputs.begin(), node.inputs.end());
  std::erase_if(values, [&](const std::string& value) {
    return value.empty() || graph.Constant(value) != nullptr;
  });
  return values;
}

// Positions of the nodes outside of blocks that `wanted` depends on, ascending.
std::vector<size_t> NodesBefore(const graph::Graph& graph, const std::vector<Block>& blocks,
                                std::set<std::string> wanted) {
  std::set<size_t> inside;
  for (const Block& block : blocks) inside.insert(block.nodes.begin(), block.nodes.end());
  std::vector<size_t> nodes;
  for (size_t i = graph.nodes().size(); i-- > 0;) {
    const graph::Node& node = *graph.nodes()[i];
    if (inside.contains(i) ||
        std::none_of(node.outputs.begin(), node.outputs.end(),
                     [&](const std::string& value) { return wanted.contains(value); }))
      continue;
    nodes.push_back(i);
    for (const std::string& value : ReadsOf(graph, node)) wanted.insert(value);
  }
  std::reverse(nodes.begin(), nodes.end());
  return nodes;
}

}  // namespace

Stretches::Part Prelude(const graph::Graph& graph, const std::vector<Block>& blocks) {
  std::set<std::string> wanted, made, inputs;
  for (const Block& block : blocks) wanted.insert(block.inputs.begin(), block.inputs.end());
  Stretches::Part part{.nodes = NodesBefore(graph, blocks, wanted), .inputs = {}, .outputs = {}};
  for (const size_t i : part.nodes) {
    for (const std::string& value : ReadsOf(graph, *graph.nodes()[i]))
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
