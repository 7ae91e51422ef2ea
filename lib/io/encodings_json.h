#pragma once
// AIMET-style encodings files, versions 0.6.1, 1.0.0 and 2.0.0.

#include <string>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"

namespace roundel::io {

// An entry for every encoding of the table. In 0.6.1 and 1.0.0 offset = -zero_point of the unsigned
// grid; in 2.0.0 y_zero_point is ONNX's. kUsage for a version that is not known, or for a grid that
// the version cannot hold (0.6.1 has no blocks).
Result<std::string> EncodingsJson(const quant::EncodingTable& table, const std::string& version);
// Reads any of the versions (booleans as strings too). `graph` tells weights from activations where
// the file does not (2.0.0), and the channel axis where the version leaves it out.
Result<quant::EncodingTable> ParseEncodingsJson(const std::string& json, const std::string& source,
                                                const graph::Graph& graph);

}  // namespace roundel::io
