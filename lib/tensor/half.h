#pragma once
// Runs of float16 values, by the processor's own instructions where it has them. Rounding is to
// nearest even, as of the single values in dtype.h; which bits a NaN carries may differ.

#include <cstdint>

namespace roundel {

void FloatsToHalves(const float* from, int64_t n, uint16_t* to);
void HalvesToFloats(const uint16_t* from, int64_t n, float* to);

}  // namespace roundel
