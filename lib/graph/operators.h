#pragma once
// Facts of operators, apart from their kernels: one row per operator (operators.cpp). A fact that
// several rooms need, or that every new operator has, is a column there and nowhere else. Kernels
// and their versions are in lib/ops, which depends on this room.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

struct Fact {
  enum Bit : uint32_t {
    // ---- shape of the first output
    kPointwise = 1u << 0,   // that of input 0; each element depends on the same element of it
    kBroadcasts = 1u << 1,  // element by element, all inputs broadcast by numpy's rule
    kKeepsRank = 1u << 2,   // the rank of input 0 (implied by kPointwise)
    // ---- elements
    kMoves = 1u << 3,         // moves or selects elements of the inputs
    kOrders = 1u << 4,        // keeps the order of elements, or selects by order
    kNormalizes = 1u << 5,    // each element depends on all of an axis in the same way
    kHasBodies = 1u << 6,     // outputs are results of sub-graphs
    kKeepsRanking = 1u << 7,  // the largest element stays the largest along the last axis
    kLocal = 1u << 8,         // a layer or norm with results at the positions of its inputs
    kBounds = 1u << 9,        // limits an input by another input
    kLinear = 1u << 10,       // sum, selection or mean: inputs >= 0 give outputs >= 0
    kMagnitude = 1u << 11,    // squares or absolute values
    // ---- inputs
    kSteered = 1u << 12,      // inputs after the first are parameters or stay float in runtimes
    kOneType = 1u << 13,      // all inputs and the first output have one type
    kMaskOperand = 1u << 14,  // an operand may be a number that represents infinity
    // ---- who computes them
    kComputesSizes = 1u << 15,  // pure; exporters use it in computations of sizes
    // Distributions of channels pass through: computed on drawn samples, unchanged, or unchanged if
    // no channels are merged.
    kSampled = 1u << 16,
    kSampledAsIs = 1u << 17,
    kSampledFlat = 1u << 18,
    // ---- layers
    kLayer = 1u << 19,      // sums of products with a weight: Conv, ConvTranspose, Gemm, MatMul
    kMatrix = 1u << 20,     // those of matrices: Gemm, MatMul
    kRecurrent = 1u << 21,  // LSTM, GRU and RNN
  };
};

// How samples (axis 0 of input 0) pass through an operator. Operators with kOwnRule have a rule of
// their own in lib/engine/sample_axis.cpp.
enum class Samples { kOwnRule, kApart, kAxis, kReduces };

// Where the type of an output comes from: the index of an input, or OfType(t).
using TypeSource = int;
constexpr TypeSource OfType(DType type) { return -1 - static_cast<int>(type); }

struct OperatorRow {
  const char* name;
  uint32_t facts = 0;
  std::vector<TypeSource> types = {0};  // per output; further outputs follow the last entry
  Samples samples = Samples::kOwnRule;
};

// nullptr for operators without a row. Those of ONNX have no facts and the output type of their
// first input, those of "roundel" give floats; of other domains nothing is known.
const OperatorRow* FindOperator(const std::string& domain, const std::string& op_type);

// Whether the node's operator has one of the facts.
bool Has(const Node& node, uint32_t facts);
// The same for an operator of ONNX.
bool Has(const std::string& op_type, uint32_t facts);

}  // namespace roundel::graph
