#pragma once
// Reads a QuantizeLinear or DequantizeLinear node as an encoding.

#include <optional>
#include <string>

#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"

namespace roundel::target {

// An encoding, or the reason why the node cannot be expressed as one.
struct ReadResult {
  quant::Encoding encoding;
  std::string problem;
};

// `storage`: type of the codes. `rank`: of the quantized value, -1 if it is not known. Both kinds
// of node have the same inputs (data, scale, zero point) and attributes.
ReadResult ReadQuantizer(const graph::Graph& g, const graph::Node& node, DType storage,
                         int64_t rank);

// Whether `value` can be read as a scale: it is constant, or follows from constants.
bool HasConstantScale(const graph::Graph& g, const std::string& value);
// Requires that ReadQuantizer has read the node without a problem.
Shape ScaleShape(const graph::Graph& g, const graph::Node& node);
// Type of the codes that a QuantizeLinear produces.
DType StorageOf(const graph::Graph& g, const graph::Node& quantize);

// Whether two encodings quantize a value in the same way.
bool SameQuantizer(const quant::Encoding& a, const quant::Encoding& b);

// The grid that export has written into the node's doc_string, if the encoding's codes lie on it.
// Codes of a constant may be stored in a wider type than the grid needs.
std::optional<quant::Grid> DeclaredGrid(const graph::Node& dq, const quant::Encoding& e);

}  // namespace roundel::target
