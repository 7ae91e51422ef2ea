#include "lib/quant/coded_scales.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/quant/float_grid.h"

namespace roundel::quant {
namespace {

constexpr float kMaxUnits = 16;  // of an integer code
// Digits of a unit: together with the 4 of a float8 or the 5 of an integer they fit into the 24 of
// a float.
constexpr int kUnitDigits = 16;
// No product of such a unit with the smallest code is a denormal float.
constexpr float kMinUnit = 0x1p-100f;

// The smallest number with kUnitDigits digits that is not below x.
float RoundUp(float x) {
  int exponent = 0;
  const float fraction = std::frexp(std::max(x, kMinUnit), &exponent);
  return std::ldexp(std::ceil(std::ldexp(fraction, kUnitDigits)), exponent - kUnitDigits);
}

float NearestFloat8(float x) {
  float code = 0;
  FakeQuantizeFloats(&x, &code, 1, 1.0f, GridKind::kFloat8E4M3FN);
  constexpr float kLeast = 0x1p-9f;
  return std::max(code, kLeast);
}

float PowerOfTwo(float scale) { return std::ldexp(1.0f, std::clamp(std::ilogb(scale), -126, 127)); }

// The unit of each scale.
struct Units {
  int64_t axis = -1, count = 1;
  int64_t inner = 1;  // scales between neighbors along the axis
  size_t Of(size_t i) const { return static_cast<size_t>(static_cast<int64_t>(i) / inner % count); }
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
    float& most = largest[units.Of(i)];
    most = std::max(most, e.params[i].scale);
  }
  return largest;
}

float LargestCode(ScaleKind kind) {
  return kind == ScaleKind::kInteger ? kMaxUnits : FormatOf(DType::kFloat8E4M3FN).max;
}

float NearestCode(ScaleKind kind, float x) {
  if (kind == ScaleKind::kFloat8) return NearestFloat8(x);
  return std::clamp(RoundHalfEven(x), 1.0f, kMaxUnits);
}

// The codes that the largest scale of a unit may have, in descending order.
std::vector<float> CodesOf(ScaleKind kind) {
  std::vector<float> codes;
  if (kind == ScaleKind::kFloat8) {
    const Grid grid{.bits = 8, .kind = GridKind::kFloat8E4M3FN};
    for (const float level : GridLevels(grid))
      if (level > 0) codes.push_back(level);
    std::reverse(codes.begin(), codes.end());
    return codes;
  }
  for (float code = kMaxUnits; code >= 1; --code) codes.push_back(code);
  return codes;
}

// Whether all `members` are products of `unit`; sets their codes.
bool SplitScales(const Encoding& e, const std::vector<size_t>& members, float unit,
                 std::vector<float>* codes) {
  if (!(unit > 0)) return false;
  return std::all_of(members.begin(), members.end(), [&](size_t i) {
    const float scale = e.params[i].scale;
    (*codes)[i] = NearestCode(e.grid.scales, scale / unit);
    return (*codes)[i] * unit == scale;
  });
}

// The unit of the scales `members`, 0 if they have none. SettleScales gives the largest scale the
// largest code. Other tools need not, and their units may have more digits: then a product was
// rounded, and the quotient may be adjacent to the unit.
float FindUnit(const Encoding& e, const std::vector<size_t>& members,
               const std::vector<float>& tops, std::vector<float>* codes) {
  float largest = 0;
  for (const size_t i : members) largest = std::max(largest, e.params[i].scale);
  for (const float top : tops) {
    const float quotient = largest / top;
    for (const float unit : {quotient, std::nextafter(quotient, 0.0f),
                             std::nextafter(quotient, std::numeric_limits<float>::infinity())})
      if (SplitScales(e, members, unit, codes)) return unit;
  }
  return 0;
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
    const float u = unit[units.Of(i)];
    e->params[i].scale = NearestCode(kind, e->params[i].scale / u) * u;
  }
}

std::optional<ScaleCodes> FindScaleCodes(const Shape& shape, const Encoding& e) {
  const ScaleKind kind = e.grid.scales;
  if (kind == ScaleKind::kFloat || kind == ScaleKind::kSigned || e.params.empty())
    return std::nullopt;
  const Units units = UnitsOf(shape, e);
  ScaleCodes found{
      .codes = std::vector<float>(e.params.size()), .unit_axis = units.axis, .inner = units.inner};
  if (kind == ScaleKind::kPowerOfTwo) {
    found.units = {1};
    for (size_t i = 0; i < e.params.size(); ++i) {
      found.codes[i] = PowerOfTwo(e.params[i].scale);
      if (found.codes[i] != e.params[i].scale) return std::nullopt;
    }
    return found;
  }
  std::vector<std::vector<size_t>> members(static_cast<size_t>(units.count));
  for (size_t i = 0; i < e.params.size(); ++i) members[units.Of(i)].push_back(i);
  const std::vector<float> tops = CodesOf(kind);
  for (const std::vector<size_t>& scales : members) {
    found.units.push_back(FindUnit(e, scales, tops, &found.codes));
    if (found.units.back() == 0) return std::nullopt;
  }
  return found;
}

}  // namespace roundel::quant
