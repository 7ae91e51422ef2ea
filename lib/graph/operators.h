#pragma once
// What is known of operators beside their kernels: one row for each (operators.cpp). A fact that
// several rooms ask for, or that a new operator should bring along, stands there and nowhere else;
// kernels and their versions are in lib/ops, which is above this room.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

struct Fact {
  enum Bit : uint32_t {
    // ---- shape of the first output
    kPointwise = 1u << 0,   // that of input 0, and each element follows from the same place of it
    kBroadcasts = 1u << 1,  // that of all inputs by numpy's rule, element by element
    kKeepsRank = 1u << 2,   // the rank of input 0 (that of pointwise operators follows)
    // ---- elements
    kMoves = 1u << 3,         // elements of the inputs at other places, or some of them
    kOrders = 1u << 4,        // keeps the order of elements, or selects by it
    kNormalises = 1u << 5,    // each element from all of an axis in the same way
    kHasBodies = 1u << 6,     // hands on what sub-graphs make
    kKeepsRanking = 1u << 7,  // the largest element stays the largest along the last axis
    kLocal = 1u << 8,         // a layer or norm whose result lies where its input does
    kBounds = 1u << 9,        // limits its input by another
    kLinear = 1u << 10,       // a sum, a selection or a mean: magnitudes in give magnitudes out
    kMagnitude = 1u << 11,    // squares or absolute values
    // ---- inputs
    kSteered = 1u << 12,      // inputs past the first are parameters or stay float in runtimes
    kOneType = 1u << 13,      // all inputs and the first output have one type
    kMaskOperand = 1u << 14,  // an operand may be a number that stands for infinity
    // ---- who computes them
    kComputesSizes = 1u << 15,  // pure, and exporters compute sizes with it
    // Distributions of channels pass through it: computed on samples, unchanged, or unchanged where
    // no channels are merged.
    kSampled = 1u << 16,
    kSampledAsIs = 1u << 17,
    kSampledFlat = 1u << 18,
    // ---- layers
    kLayer = 1u << 19,      // sums of products with a weight: Conv, ConvTranspose, Gemm, MatMul
    kMatrix = 1u << 20,     // those of matrices: Gemm, MatMul
    kRecurrent = 1u << 21,  // LSTM and its kin
  };
};

// How samples, axis 0 of input 0, pass through an operator; what needs more is decided by rules of its
// own (lib/engine/sample_axis.cpp).
enum class Samples { kOwnRule, kApart, kAxis, kReduces };

// Where the type of an output comes from: the index of an input, or OfType(t).
using TypeSource = int;
constexpr TypeSource OfType(DType type) { return -1 - static_cast<int>(type); }

struct OperatorRow {
  const char* name;
  uint32_t facts = 0;
  std::vector<TypeSource> types = {0};  // by output; what lies past the end follows the last
  Samples samples = Samples::kOwnRule;
};

// nullptr for operators without a row: of ONNX they have no facts, and make what their first input
// is; of other domains nothing is known.
const OperatorRow* FindOperator(const std::string& domain, const std::string& op_type);

// Whether the node has one of the facts.
bool Has(const Node& node, uint32_t facts);
// The same of an operator of ONNX.
bool Has(const std::string& op_type, uint32_t facts);

}  // namespace roundel::graph
