#pragma once
// Scales that are codes themselves: scale = code * unit, exactly in float32, as ScaleKind says.
//
//   kPowerOfTwo   the scale is a power of two; unit 1
//   kFloat8       code: positive float8e4m3fn; unit: one for the tensor, largest scale / 448
//   kInteger      code: 1 to 16; unit: one for each channel, its largest scale / 16
//
// Units keep few enough digits for every product to be exact, so that they follow from the scales.

#include <optional>
#include <vector>

#include "lib/quant/encodings.h"

namespace roundel::quant {

struct ScaleCodes {
  std::vector<float> codes;  // in the order of Encoding::params
  std::vector<float> units;  // 1, or one for each index along `unit_axis` of the value
  int64_t unit_axis = -1;
};

// Rounds the scales of an encoding for a value of `shape` to what its grid can hold. No scale becomes
// 0. Grids with free scales: nothing.
void SettleScales(const Shape& shape, Encoding* encoding);
// The codes of settled scales; nullopt for free scales, and for those that are not of the kind.
std::optional<ScaleCodes> FindScaleCodes(const Shape& shape, const Encoding& encoding);

}  // namespace roundel::quant
