#pragma once
// Floats to codes of one byte and back, by the one rounding rule (lib/quant/grid.h).

#include <cstdint>

#include "lib/quant/encodings.h"

namespace roundel::engine {

// True if a value on this grid can be held as one byte per element.
bool FitsBytes(const quant::Encoding* encoding);

// `to` and `from` of the codes: int8 or uint8, as encoding.grid.storage_type() says.
void EncodeBytes(const float* from, const quant::Encoding& encoding, int64_t n, void* to);
void DecodeBytes(const void* from, const quant::Encoding& encoding, int64_t n, float* to);

}  // namespace roundel::engine
