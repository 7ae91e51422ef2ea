#include "lib/tune/solve_block.h"

#include <algorithm>

#include "lib/walk/stream_inputs.h"

namespace roundel::tune {
namespace {

// Computes a value of the block in both streams, unless it is one of its inputs.
Status Compute(const graph::Graph& graph, const walk::Stretches::Part& block,
               const std::string& value, walk::Streams& streams) {
  if (std::find(block.inputs.begin(), block.inputs.end(), value) != block.inputs.end())
    return OkStatus();
  walk::Stretches::Part part;
  part.nodes = walk::NodesBetween(graph, block.inputs, {value});
  part.inputs = block.inputs;
  part.outputs = {value};
  return streams.Run(part, walk::Which::kBoth);
}

}  // namespace

Status SolveBlock(const graph::Graph& graph, const structure::Block& block,
                  const walk::Stretches::Part& part, walk::Streams& streams,
                  layers::LayerSolver& solver, const std::function<void()>& solved) {
  const std::vector<const graph::Node*>& nodes = solver.nodes();
  for (const size_t position : block.layers) {
    const auto node = std::find(nodes.begin(), nodes.end(), graph.nodes()[position].get());
    if (node == nodes.end()) continue;
    const std::string& input = walk::DataInput(graph, **node);
    RETURN_IF_ERROR(Compute(graph, part, input, streams));
    RETURN_IF_ERROR(
        solver.Solve(static_cast<size_t>(node - nodes.begin()), *walk::InputsFrom(streams, input))
            .status());
    solved();
  }
  return OkStatus();
}

}  // namespace roundel::tune
