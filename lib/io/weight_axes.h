#pragma once
// The role and the axes of a constant in an encodings file, from the graph.

#include <optional>
#include <string>

#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"

namespace roundel::io {

struct WeightAxes {
  int64_t channel = 0;  // output channels
  int64_t block = 0;    // the axis that is summed over
};

// By the operator that reads `name`: Conv (0, 1), ConvTranspose (1, 0), Gemm (1, 0) or with transB
// (0, 1), MatMul (last, last but one), a table that Gather reads (0, 1), both weights of LSTM, GRU
// and RNN (1, 2); 1-D constants (0, 0). nullopt if no reader determines them.
std::optional<WeightAxes> FindWeightAxes(const graph::Graph& graph, const std::string& name,
                                         int64_t rank);

// kActivation unless `name` is constant; kBias for the third input of Conv, ConvTranspose and Gemm
// and for 32-bit grids.
quant::Role FindRole(const graph::Graph& graph, const std::string& name, int bits);

// Shape of a constant, or of a value whose value_info (or graph input/output) gives all dimensions.
std::optional<Shape> FindShape(const graph::Graph& graph, const std::string& name);

}  // namespace roundel::io
