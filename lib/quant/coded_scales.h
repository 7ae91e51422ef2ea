#pragma once
// Scales that are codes themselves: scale = code * unit, exactly in float32, as ScaleKind says.
//
//   kPowerOfTwo   the scale is a power of two; unit 1
//   kFloat8       code: positive float8e4m3fn; unit: one for the tensor
//   kInteger      code: 1 to 16; unit: one for each channel
//
// Settled scales give the largest of a unit the largest code (448 or 16), and their units keep few
// enough digits for every product to be exact. Scales from elsewhere may do neither: what counts is
// that each is the float nearest to its product.

#include <optional>
#include <vector>

#include "lib/quant/encodings.h"

namespace roundel::quant {

struct ScaleCodes {
  std::vector<float> codes;  // in the order of Encoding::params
  std::vector<float> units;  // 1, or one for each index along `unit_axis` of the value
  int64_t unit_axis = -1;
  int64_t inner = 1;  // scales between neighbours along that axis

  float UnitOf(size_t i) const {  // of the i-th scale
    return units[i / static_cast<size_t>(inner) % units.size()];
  }
};

// Rounds the scales of an encoding for a value of `shape` to what its grid can hold. No scale becomes
// 0. Grids with free scales: nothing.
void SettleScales(const Shape& shape, Encoding* encoding);
// Codes and units whose products are the scales, to the bit; nullopt for free scales, and for those
// that are not of the kind. Of several ways the one with the largest codes.
std::optional<ScaleCodes> FindScaleCodes(const Shape& shape, const Encoding& encoding);

}  // namespace roundel::quant
