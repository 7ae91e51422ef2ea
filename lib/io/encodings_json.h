#pragma once
// AIMET-style encodings files, versions 0.6.1, 1.0.0, 2.0.0 and 2.1.0.

#include <string>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/io/encodings_origin.h"
#include "lib/quant/encodings.h"

namespace roundel::io {

// An entry for every encoding of the table, sorted by name. In 0.6.1 and 1.0.0 offset = -zero_point
// of the unsigned grid; in 2.x y_zero_point is ONNX's. Errors: kUsage for an unknown version, or
// for an encoding that the version cannot hold (0.6.1 has no blocks, 2.0.0 no 5-bit grid, ...).
// `graph` gives the shapes of blocked weights (1.0.0 and 2.0.0), and whether the channel axis is
// the one that readers of 0.6.1 and 1.0.0 assume; without it blocked weights must hold their codes.
// Coded scales are written as codes if the version can hold them, else as products. `origin`: which
// model they belong to.
Result<std::string> EncodingsJson(const quant::EncodingTable& table, const std::string& version,
                                  const graph::Graph* graph = nullptr,
                                  const EncodingsOrigin* origin = nullptr);

// Whether the version can hold an encoding of `value`, for any scales and codes: the check of
// EncodingsJson before there are scales.
Status CheckEncodingForm(const std::string& value, const quant::Encoding& e,
                         const std::string& version, const graph::Graph& graph);

// Reads any of the versions (booleans as strings too); float entries are skipped. Scales that are
// stored as codes with scales (lib/io/scale_levels.h) give a grid of that ScaleKind if there is
// one, else their products. `source` names the file in messages; all errors are kUsage. The graph
// supplies what the file does not hold: the role of a value, the axes in 0.6.1 and 1.0.0, and
// whether a weight's grid is narrow (it is if the weight has no value at the lowest code). 0.6.1
// and 1.0.0 do not store whether codes are signed: symmetric ones are read as signed, others as
// unsigned, with the same values.
Result<quant::EncodingTable> ParseEncodingsJson(const std::string& json, const std::string& source,
                                                const graph::Graph& graph);

}  // namespace roundel::io
