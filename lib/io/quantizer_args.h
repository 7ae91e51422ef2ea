#pragma once
// The summary in encodings files of versions 0.6.1 and 1.0.0.

#include <nlohmann/json.hpp>

#include "lib/quant/encodings.h"

namespace roundel::io {

// What AIMET's own loader looks at before the entries: widths, symmetry and granularity of most.
nlohmann::ordered_json QuantizerArgs(const quant::EncodingTable& table, bool booleans_as_text);

}  // namespace roundel::io
