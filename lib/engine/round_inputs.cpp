#include "lib/engine/round_inputs.h"

#include <map>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "lib/base/text.h"
#include "lib/graph/rounded_products.h"

namespace roundel::engine {
namespace {

using graph::Node;

FlatNode RoundNode(const std::string& from, const std::string& to, const graph::RoundedInput& how,
                   const graph::Function* function) {
  Node node;
  node.op_type = "RoundBlocks";
  node.domain = "roundel";
  node.inputs = {from};
  node.outputs = {to};
  node.SetAttribute("block_size", how.block_size);
  node.SetAttribute("matrices", int64_t{how.matrices});
  node.SetAttribute("axis", int64_t{-1});
  return {.node = std::move(node), .opset = 1, .function = function};
}

// How ONNX Runtime rounds the input of each node.
std::vector<graph::RoundedInput> RoundedInputs(
    const graph::Graph& graph, const std::function<const Tensor*(const std::string&)>& outer,
    const std::vector<FlatNode>& nodes) {
  const ConstantsByName constants = ConstantsOf(graph, nodes);
  std::unordered_map<std::string, const Node*> producers;
  std::unordered_map<std::string, std::vector<const Node*>> readers;
  for (const graph::ValueInfo& output : graph.outputs) readers[output.name].push_back(nullptr);
  for (const FlatNode& flat : nodes) {
    for (const std::string& output : flat.node.outputs) producers[output] = &flat.node;
    for (const std::string& input : flat.node.inputs) readers[input].push_back(&flat.node);
  }
  const graph::ProductScope scope{
      .producer = [&](const std::string& value) -> const Node* {
        const auto found = producers.find(value);
        return found == producers.end() ? nullptr : found->second;
      },
      .readers = [&](const std::string& value) { return readers[value]; },
      .constant = [&](const std::string& value) -> const Tensor* {
        const auto found = constants.find(value);
        return found != constants.end() ? found->second : outer(value);
      }};
  std::vector<graph::RoundedInput> rounded;
  for (const FlatNode& flat : nodes) rounded.push_back(graph::RoundedInputOf(flat.node, scope));
  return rounded;
}

}  // namespace

void RoundInputsOfProducts(const graph::Graph& graph,
                           const std::function<const Tensor*(const std::string&)>& outer,
                           std::vector<FlatNode>* nodes) {
  const std::vector<graph::RoundedInput> rounded = RoundedInputs(graph, outer, *nodes);
  std::map<std::tuple<std::string, int64_t, bool>, std::string> made;
  std::vector<FlatNode> result;
  for (size_t i = 0; i < nodes->size(); ++i) {
    FlatNode& flat = (*nodes)[i];
    if (rounded[i].block_size > 0) {
      const std::string from = flat.node.input(0);
      const auto [entry, is_new] =
          made.try_emplace({from, rounded[i].block_size, rounded[i].matrices},
                           StrCat(from, "/rounded", made.size()));
      if (is_new) result.push_back(RoundNode(from, entry->second, rounded[i], flat.function));
      flat.node.inputs[0] = entry->second;
    }
    result.push_back(std::move(flat));
  }
  *nodes = std::move(result);
}

}  // namespace roundel::engine
