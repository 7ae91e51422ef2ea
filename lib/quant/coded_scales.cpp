#include "lib/quant/coded_scales.h"

#include <algorithm>
#include <cmath>

#include "lib/quant/float_grid.h"

namespace roundel::quant {
namespace {

constexpr float kMostUnits = 16;  // of an integer code
// Digits of a unit: with the 4 of a float8 or the 5 of an integer they fit the 24 of a float.
constexpr int kUnitDigits = 16;
// No product of such a unit with the smallest code is below what a float holds in full.
constexpr float kLeastUnit = 0x1p-100f;

// The least number of kUnitDigits digits that is not below x.
float RoundUp(float x) {
  int exponent = 0;
  const float fraction = std::frexp(std::max(x, kLeastUnit), &exponent);
  return std::ldexp(std::ceil(std::ldexp(fraction, kUnitDigits)), exponent - kUnitDigits);
}

float NearestFloat8(float x) {
  float code = 0;
  FakeQuantizeFloats(&x, &code, 1, 1.0f, GridKind::kFloat8E4M3FN);
  constexpr float kLeast = 0x1p-9f;
  return std::max(code, kLeast);
}

float PowerOfTwo(float scale) {
  return std::ldexp(1.0f, std::clamp(std::ilogb(scale), -126, 127));
}

// Which unit each scale belongs to.
struct Units {
  int64_t axis = -1, count = 1;
  int64_t inner = 1;  // scales between neighbours along the axis
  int64_t Of(size_t i) const { return static_cast<int64_t>(i) / inner % count; }
};

Units UnitsOf(const Shape& shape, const Encoding& e) {
  Units units;
  if (e.grid.scales != ScaleKind::kInteger) return units;
  const Shape scales = ScaleShape(e, shape);
  if (scales.size() == shape.size() && scales.size() >= 2) units.axis = e.axis == 0 ? 1 : 0;
  if (e.granularity == Granularity::kChannel) {
    units.axis = e.axis;
    units.count = std::max<int64_t>(1, static_cast<int64_t>(e.params.size()));
  }
  if (e.granularity != Granularity::kBlock || units.axis < 0) return units;
  units.count = std::max<int64_t>(1, scales[static_cast<size_t>(units.axis)]);
  for (size_t i = static_cast<size_t>(units.axis) + 1; i < scales.size(); ++i)
    units.inner *= std::max<int64_t>(1, scales[i]);
  return units;
}

std::vector<float> LargestOf(const Encoding& e, const Units& units) {
  std::vector<float> largest(static_cast<size_t>(units.count));
  for (size_t i = 0; i < e.params.size(); ++i) {
    float& most = largest[static_cast<size_t>(units.Of(i))];
    most = std::max(most, e.params[i].scale);
  }
  return largest;
}

float LargestCode(ScaleKind kind) {
  return kind == ScaleKind::kInteger ? kMostUnits : FormatOf(DType::kFloat8E4M3FN).max;
}

float NearestCode(ScaleKind kind, float x) {
  if (kind == ScaleKind::kFloat8) return NearestFloat8(x);
  return std::clamp(RoundHalfEven(x), 1.0f, kMostUnits);
}

}  // namespace

void SettleScales(const Shape& shape, Encoding* e) {
  const ScaleKind kind = e->grid.scales;
  if (kind == ScaleKind::kFloat || kind == ScaleKind::kSigned) return;
  if (kind == ScaleKind::kPowerOfTwo) {
    for (QParams& p : e->params) p.scale = PowerOfTwo(p.scale);
    return;
  }
  const Units units = UnitsOf(shape, *e);
  std::vector<float> unit = LargestOf(*e, units);
  for (float& u : unit) u = RoundUp(u / LargestCode(kind));
  for (size_t i = 0; i < e->params.size(); ++i) {
    const float u = unit[static_cast<size_t>(units.Of(i))];
    e->params[i].scale = NearestCode(kind, e->params[i].scale / u) * u;
  }
}

std::optional<ScaleCodes> FindScaleCodes(const Shape& shape, const Encoding& e) {
  const ScaleKind kind = e.grid.scales;
  if (kind == ScaleKind::kFloat || kind == ScaleKind::kSigned) return std::nullopt;
  const bool powers = kind == ScaleKind::kPowerOfTwo;
  const Units units = UnitsOf(shape, e);
  ScaleCodes found{.units = powers ? std::vector<float>{1} : LargestOf(e, units),
                   .unit_axis = units.axis};
  for (float& unit : found.units)
    if (!powers) unit /= LargestCode(kind);
  for (size_t i = 0; i < e.params.size(); ++i) {
    const float scale = e.params[i].scale, unit = found.units[static_cast<size_t>(units.Of(i))];
    found.codes.push_back(powers ? PowerOfTwo(scale) : NearestCode(kind, scale / unit));
    if (found.codes.back() * unit != scale) return std::nullopt;
  }
  return found;
}

}  // namespace roundel::quant
