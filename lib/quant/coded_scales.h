#pragma once
// Scales that are codes themselves: scale = code * unit, exactly in float32, as ScaleKind says.
//
//   kPowerOfTwo   the scale is a power of two; unit 1
//   kFloat8       code: positive float8e4m3fn; unit: one for the tensor
//   kInteger      code: 1 to 16; unit: one for each channel
//
// SettleScales gives the largest scale of a unit the largest code (448 or 16), and limits the
// digits of units so that every product is exact. Scales from other tools may do neither:
// FindScaleCodes only requires that each scale is the float nearest to its product.

#include <optional>
#include <vector>

#include "lib/quant/encodings.h"

namespace roundel::quant {

struct ScaleCodes {
  std::vector<float> codes;  // in the order of Encoding::params
  std::vector<float> units;  // 1, or one for each index along `unit_axis` of the value
  int64_t unit_axis = -1;
  int64_t inner = 1;  // number of scales per index along that axis

  float UnitOf(size_t i) const {  // of the i-th scale
    return units[i / static_cast<size_t>(inner) % units.size()];
  }
};

// Rounds the scales of an encoding of a value of `shape` to scales that its grid can store. No
// scale becomes 0. Does nothing for grids with ScaleKind::kFloat.
void SettleScales(const Shape& shape, Encoding* encoding);
// Codes and units with the scales as products, bit for bit; of several solutions the one with the
// largest codes. nullopt for float scales, and for scales that are not of the grid's ScaleKind.
std::optional<ScaleCodes> FindScaleCodes(const Shape& shape, const Encoding& encoding);

}  // namespace roundel::quant
