#pragma once
// Codes of 2, 4 or 8 bits packed into bytes, the first in the lowest bits: the storage of the
// com.microsoft operators on block-quantized weights.

#include <cstdint>

namespace roundel::engine {

// Code `i` of a row of packed codes.
inline int32_t PackedCode(const uint8_t* row, int64_t i, int bits) {
  const int64_t bit = i * bits;
  return (row[bit / 8] >> (bit % 8)) & ((1 << bits) - 1);
}

inline bool IsCodeWidth(int64_t bits) { return bits == 2 || bits == 4 || bits == 8; }

// Bytes of a row of `count` codes.
inline int64_t PackedBytes(int64_t count, int64_t bits) { return (count * bits + 7) / 8; }

}  // namespace roundel::engine
