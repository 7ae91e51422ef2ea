#pragma once
// Products whose float input ONNX Runtime rounds to int8 on its own. From optimisation level
// "extended" on it replaces MatMul and Gemm on dequantized integers by MatMulNBits with
// accuracy_level 4. Observed with version 1.30 on x86-64; the session option
// session.qdq_matmulnbits_accuracy_level=1 keeps the inputs in float.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

// Metadata of a model that was written for such a runtime.
inline constexpr const char* kRoundsProductInputs = "roundel.rounds_product_inputs";
bool RoundsProductInputs(const Model& model);

// Whether MatMulNBits of accuracy_level 4 rounds its float input, for weights of `bits` bits in
// blocks of `block_size`: other sizes are computed in float.
bool RoundsInputOfBlocks(int64_t bits, int64_t block_size);

// The graph around a product, as its caller sees it.
struct ProductScope {
  // The node of the same graph that makes a value; nullptr: there is none.
  std::function<const Node*(const std::string&)> producer;
  // The nodes that read a value; nullptr stands for a graph output.
  std::function<std::vector<const Node*>(const std::string&)> readers;
  // The constant that a value is, also one from an outer graph; nullptr: it is none.
  std::function<const Tensor*(const std::string&)> constant;
};

struct RoundedInput {
  int64_t block_size = 0;  // elements along the last axis of input 0; 0: it is not rounded
  // Whether an input of rank 2 is rounded: the runtime first joins such a MatMul with the Add behind
  // it, and a Gemm whose bias is no vector or whose result is quantized stays as it is.
  bool matrices = true;
};
RoundedInput RoundedInputOf(const Node& product, const ProductScope& scope);

}  // namespace roundel::graph
