#pragma once
// Matrix products with a float input that ONNX Runtime rounds to int8 by itself. From optimization
// level "extended" on it replaces MatMul and Gemm on dequantized integers by MatMulNBits with
// accuracy_level 4. Observed with version 1.30 on x86-64; the session option
// session.qdq_matmulnbits_accuracy_level=1 keeps the inputs in float.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

// Metadata key of a model that was written for such a runtime.
inline constexpr const char* kRoundsProductInputs = "roundel.rounds_product_inputs";
bool RoundsProductInputs(const Model& model);

// Whether MatMulNBits with accuracy_level 4 rounds its float input, for weights of `bits` bits in
// blocks of `block_size`. Other sizes are computed in float.
bool RoundsInputOfBlocks(int64_t bits, int64_t block_size);

// The graph around a product, through functions of the caller.
struct ProductScope {
  // The node of the same graph that produces a value; nullptr: none.
  std::function<const Node*(const std::string&)> producer;
  // The nodes that read a value; nullptr represents a graph output.
  std::function<std::vector<const Node*>(const std::string&)> readers;
  // The constant of a value, also from an outer graph; nullptr: the value is not constant.
  std::function<const Tensor*(const std::string&)> constant;
};

struct RoundedInput {
  int64_t block_size = 0;  // elements along the last axis of input 0; 0: it is not rounded
  // Whether an input of rank 2 is rounded: the runtime first fuses such a MatMul with the Add
  // after it, and keeps a Gemm with a bias that is not a vector or a quantized result.
  bool matrices = true;
};
RoundedInput RoundedInputOf(const Node& product, const ProductScope& scope);

}  // namespace roundel::graph
