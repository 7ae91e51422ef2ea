#pragma once
// What the plain and the fast kernel of MatMulNBits share.

#include <cstdint>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

// The weights of a MatMulNBits node as floats [K, N]. `inputs`: the node's, nullptr where left out;
// the first one does not count.
Result<Tensor> NBitsWeights(const graph::Node& node, const std::vector<const Tensor*>& inputs);
// Whether they fit together.
Status CheckNBits(const graph::Node& node, const std::vector<const Tensor*>& inputs);

// With accuracy_level 4 ONNX Runtime rounds what it multiplies with these weights to int8, in the
// same blocks; the size of a block, 0 if it does not. `floats`: zero points are floats; `ordered`:
// by g_idx.
int64_t RoundedBlock(const graph::Node& node, bool floats, bool ordered);

// Rows of k values in blocks (the last may be shorter): x -> round_half_even(x * (127 / m)) * (m /
// 127) with the largest magnitude m of the block.
void RoundBlocks(const float* from, int64_t rows, int64_t k, int64_t block, float* to);

}  // namespace roundel::engine
