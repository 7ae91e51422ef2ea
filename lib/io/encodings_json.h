#pragma once
// AIMET-style encodings files, versions 0.6.1, 1.0.0, 2.0.0 and 2.1.0.

#include <string>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/io/encodings_origin.h"
#include "lib/quant/encodings.h"

namespace roundel::io {

// An entry for every encoding of the table, sorted by name. In 0.6.1 and 1.0.0 offset = -zero_point
// of the unsigned grid; in 2.x y_zero_point is ONNX's. kUsage for a version that is not known, or
// for an encoding that the version cannot hold (0.6.1 has no blocks, 2.0.0 no 5-bit grid, ...).
// `graph` tells the shapes of blocked weights (1.0.0 and 2.0.0), and whether the channel axis is
// the one that a reader of 0.6.1 and 1.0.0 will assume; without it blocked weights must hold their
// codes. Coded scales are written as such where the version has a form for them, else multiplied out.
// `origin`: which model they belong to.
Result<std::string> EncodingsJson(const quant::EncodingTable& table, const std::string& version,
                                  const graph::Graph* graph = nullptr,
                                  const EncodingsOrigin* origin = nullptr);

// Whether the version has a form for an encoding of `value`, whatever its scales and codes will be:
// what EncodingsJson would say, before there is anything to write.
Status CheckEncodingForm(const std::string& value, const quant::Encoding& e,
                         const std::string& version, const graph::Graph& graph);

// Reads any of the versions (booleans as strings too); float entries are left out. Scales that
// the file holds as codes with scales of their own (lib/io/scale_levels.h) give a grid of that
// kind where there is one, else their products. `source` names the file in messages; all errors
// are kUsage. The graph tells what the file leaves open: weights from activations and biases,
// the axes in 0.6.1 and 1.0.0, and whether a weight's grid is narrow (it is if the weight has no
// value at the lowest code). 0.6.1 and 1.0.0 do not tell whether codes are signed: symmetric
// ones read as signed, others as unsigned, which stand for the same values.
Result<quant::EncodingTable> ParseEncodingsJson(const std::string& json, const std::string& source,
                                                const graph::Graph& graph);

}  // namespace roundel::io
