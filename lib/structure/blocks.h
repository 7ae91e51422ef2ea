#pragma once
// Structure of a network, found from its graph and never from names: the parts that methods work on.
// Here live blocks: consecutive parts of the main graph whose errors can be measured, and whose
// layers can be trained, one part after another. What a part computes is not of interest here.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::structure {

// A block computes `outputs` from `inputs` and constants. Blocks are in an order in which each reads
// only results of earlier ones, of nodes that depend on no layer, and graph inputs.
struct Block {
  std::string name;                  // of its first layer's node, else of its first node
  std::vector<size_t> nodes;         // positions in model.graph->nodes(), ascending
  std::vector<size_t> layers;        // those among them that multiply by a constant weight
  std::vector<std::string> weights;  // of these layers, in the same order
  // Values from outside, no constants. The first is the one through which the data reach its layers;
  // then other results of earlier blocks (skips), masks, positions, sizes.
  std::vector<std::string> inputs;
  // Values read by other nodes, or graph outputs. First the floats that depend on its layers, the
  // last computed first: `targets` of them, what a loss compares. Then the others. Each layer has a
  // target; if only choices (TopK) within the block read its results, these are one.
  std::vector<std::string> outputs;
  size_t targets = 0;
  // Why it ends where it does, if that is not a point through which all data pass: an operator
  // without gradient, or the limit of layers. "" otherwise.
  std::string boundary;
};

struct BlockOptions {
  // Layers of a block, where a cut permits. 0: the blocks of the literature. These are one residual
  // connection and what it spans, or up to four consecutive layers that end where the network has
  // neither activation function nor branch; the first and the last layer are blocks of their own.
  int64_t max_layers = 0;
  // A block of several layers has at most that many weights, where a cut permits. 0: no limit.
  int64_t max_weights = 0;
  // Why the gradient of a node's output does not reach its inputs, or "". No block contains a layer
  // and such a node between it and a target.
  std::function<std::string(const graph::Node&)> why_no_gradient;
};

// Blocks of the main graph. Ensures: every layer with a constant weight is in exactly one block, as
// is every node on a path between layers; each block has a layer. (An exception are products of
// positions and frequencies, which depend on integers alone and have one term: no layers.)
// Requires: nodes in topological order, as in normal form.
std::vector<Block> FindBlocks(const graph::Model& model, const BlockOptions& options = {});

}  // namespace roundel::structure
