#pragma once
// Conversion of arrays to and from float16, with the processor's instructions if it has them.
// Rounds to nearest even, as the functions in dtype.h do. The payload of a NaN may differ.

#include <cstdint>

namespace roundel {

inline constexpr float kLargestHalf = 65504, kLargestBfloat16 = 0x1.fep127f;

void FloatsToHalves(const float* from, int64_t n, uint16_t* to);
void HalvesToFloats(const uint16_t* from, int64_t n, float* to);

}  // namespace roundel
