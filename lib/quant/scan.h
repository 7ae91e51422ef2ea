#pragma once
// A vectorized scan of an array of floats, at memory speed.

#include <bit>
#include <cstdint>
#include <limits>
#include <span>

#include "lib/base/status.h"

namespace roundel::quant {

struct Scan {
  float min = std::numeric_limits<float>::infinity();
  float max = -std::numeric_limits<float>::infinity();
  // Bits of the smallest non-zero magnitude, minus 1 (all ones: none).
  uint32_t smallest = 0xffffffffu;
  bool has_nan = false;
};

Scan ScanChunk(const float* values, int64_t n);
// The same without `smallest`, which only histograms need: faster.
Scan ScanRange(const float* values, int64_t n);
Scan CombineScans(const Scan& a, const Scan& b);
// True if there are no values.
bool IsFinite(const Scan& scan);
// kData naming what is wrong for NaN or infinity.
Status CheckFinite(const Scan& scan);
// ScanRange of all `values`, in parallel. Errors: kData for NaN or infinity.
Result<Scan> ScanFinite(std::span<const float> values);

}  // namespace roundel::quant
