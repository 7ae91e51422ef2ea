#include "lib/engine/node_order.h"

#include <algorithm>
#include <set>
#include <utility>

#include "lib/base/text.h"

namespace roundel::engine {
namespace {

// Depth-first order is valid but keeps values alive longer than the order of the file, which is
// preferred if it is valid too.
std::vector<size_t> PreferFileOrder(const std::vector<FlatNode>& nodes,
                                    const std::unordered_map<std::string, size_t>& producers,
                                    std::vector<size_t> depth_first) {
  std::vector<size_t> order = depth_first;
  std::sort(order.begin(), order.end());
  std::set<std::string> made;
  for (size_t i : order) {
    for (const std::string& input : nodes[i].node.inputs)
      if (!input.empty() && !made.contains(input) && producers.contains(input)) return depth_first;
    made.insert(nodes[i].node.outputs.begin(), nodes[i].node.outputs.end());
  }
  return order;
}

}  // namespace

Result<std::unordered_map<std::string, size_t>> Producers(const std::vector<FlatNode>& nodes) {
  std::unordered_map<std::string, size_t> producers;
  for (size_t i = 0; i < nodes.size(); ++i)
    for (const std::string& output : nodes[i].node.outputs)
      if (!output.empty() && !producers.emplace(output, i).second)
        return ModelError(StrCat("value '", output, "' is produced twice"));
  return producers;
}

Result<NodeOrder> OrderNodes(const std::vector<FlatNode>& nodes,
                             const std::unordered_map<std::string, size_t>& producers,
                             const std::vector<std::string>& roots) {
  NodeOrder result;
  std::vector<char> state(nodes.size(), 0);  // 1: being visited, 2: placed
  std::vector<size_t> stack;
  for (const std::string& root : roots) {
    const auto it = producers.find(root);
    if (it != producers.end() && state[it->second] == 0) stack.push_back(it->second);
  }
  while (!stack.empty()) {
    const size_t i = stack.back();
    if (state[i] != 0) {
      stack.pop_back();
      if (state[i] == 1) result.nodes.push_back(i);
      state[i] = 2;
      continue;
    }
    state[i] = 1;
    for (const std::string& input : nodes[i].node.inputs) {
      if (input.empty()) continue;
      ++result.uses[input];
      const auto it = producers.find(input);
      if (it == producers.end()) continue;
      if (state[it->second] == 1)
        return ModelError(
            StrCat("the graph has a cycle through node ", nodes[i].node.DisplayName()));
      if (state[it->second] == 0) stack.push_back(it->second);
    }
  }
  result.nodes = PreferFileOrder(nodes, producers, std::move(result.nodes));
  return result;
}

}  // namespace roundel::engine
