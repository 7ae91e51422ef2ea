#pragma once
// Functions that the plain and the fast kernel of MatMulNBits share.

#include <cstdint>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

// The weights of a MatMulNBits node as floats [K, N]. `inputs`: the inputs of the node, nullptr if
// absent; the first one is not read.
Result<Tensor> NBitsWeights(const graph::Node& node, const std::vector<const Tensor*>& inputs);
// kModel unless the inputs are compatible.
Status CheckNBits(const graph::Node& node, const std::vector<const Tensor*>& inputs);

// With accuracy_level 4, ONNX Runtime rounds the activations to int8, in the blocks of the weights.
// The size of a block; 0 if it does not round. `floats`: zero points are floats; `ordered`: the
// node has g_idx.
int64_t RoundedBlock(const graph::Node& node, bool floats, bool ordered);

// Rows of k values in blocks (the last may be shorter): x -> round_half_even(x * (127 / m)) * (m /
// 127), where m is the largest magnitude in the block.
void RoundBlocks(const float* from, int64_t rows, int64_t k, int64_t block, float* to);

}  // namespace roundel::engine
