#pragma once
// A block as a graph that can be trained: its values from learned forms are inputs, quantizers of
// activations are nodes, and the loss compares its targets with those of the float model.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/structure/blocks.h"
#include "lib/tensor/dtype.h"
#include "lib/tune/block_loss.h"

namespace roundel::tune {

// What a block consists of.
struct BlockParts {
  const graph::Model& model;
  const structure::Block& block;
  std::vector<DType> input_types;    // of block.inputs
  std::vector<int64_t> input_ranks;  // the same; gradients of products are faster if they are known
  // Of constants and activations. Constants without form are replaced by their quantized values.
  const quant::EncodingTable& encodings;
  std::vector<std::string> learned;  // values that are inputs: weights, biases, scales
  std::vector<Shape> learned_shapes;
  // activation -> the learned value that is its scale, or its zero point
  std::map<std::string, std::string> scales, zero_points;
  std::vector<TargetLoss> losses;  // of the targets
  // Inputs are also given as they are in the float model, for DropOptions.
  bool has_reference = false;
};

// Which values stay float in a step (QDrop): each element of an input, and of a value with a
// quantizer, with this probability.
struct DropOptions {
  double probability = 0;
};

// Inputs of the model, in this order: block.inputs; the same in the float model, if has_reference;
// the targets; the learned values; the seed of the step (int64) if anything is dropped. Outputs: the
// loss, then the gradients of the learned values if asked for.
//
//   loss = sum over targets of  share * (their loss)      without gradients: over those that judge
//
// Errors: kModel, naming the node, if an operator has no gradient.
Result<graph::Model> MakeBlockModel(const BlockParts& parts, bool gradients, DropOptions drop);

// Whether the quantizer of an activation can be part of such a model: integers, one scale.
bool HasQuantizerNode(const quant::Encoding& encoding);

}  // namespace roundel::tune
