#include "lib/io/scale_levels.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "lib/quant/coded_scales.h"
#include "lib/quant/float_grid.h"

namespace roundel::io {
namespace {

using quant::Encoding;
using quant::Granularity;
using quant::ScaleCodes;
using quant::ScaleKind;

// How many bits wider the decompressed grid is: the largest code of a scale is 2^4.
constexpr int kScaleBits = 4;

// ---- writing

std::optional<ScaleCodes> BlockScaleCodes(const Encoding& e, const Shape& shape) {
  if (e.granularity != Granularity::kBlock) return std::nullopt;
  return quant::FindScaleCodes(shape, e);
}

std::vector<Json> CodesJson(const ScaleCodes& found, ScaleKind kind) {
  std::vector<Json> codes;
  for (const float code : found.codes)
    codes.push_back(kind == ScaleKind::kInteger ? Json(static_cast<int64_t>(code))
                                                : Json(static_cast<double>(code)));
  return codes;
}

// ---- reading

// The index into `parts` for the element `flat` of a tensor: one entry for all, one along `axis`,
// or a tensor of the same rank with blocks along `axis` and dimensions of 1 repeated.
size_t PartOf(const Shape& shape, size_t flat, const Shape& parts, int64_t axis, int64_t block) {
  if (parts.empty()) return 0;
  size_t index = 0, stride = 1;
  for (size_t a = shape.size(); a-- > 0;) {
    const auto dim = static_cast<size_t>(shape[a]);
    const bool along = static_cast<int64_t>(a) == axis;
    size_t at = flat % dim / static_cast<size_t>(along ? block : 1);
    flat /= dim;
    if (parts.size() == 1 && shape.size() > 1 && !along) continue;
    const auto count = static_cast<size_t>(parts.size() == 1 ? parts[0] : parts[a]);
    if (count == 1) at = 0;
    index += at * stride;
    stride *= count;
  }
  return index;
}

// Whether `parts` has one entry, or one for every index (block) along each of its axes.
bool Fits(const Shape& shape, const Shape& parts, int64_t axis, int64_t block) {
  const bool along_axis = parts.size() == 1 && shape.size() > 1;
  if (along_axis && (axis < 0 || axis >= static_cast<int64_t>(shape.size()))) return false;
  if (!along_axis && !parts.empty() && parts.size() != shape.size()) return false;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto a = along_axis ? static_cast<size_t>(axis) : i;
    const int64_t size = static_cast<int64_t>(a) == axis ? block : 1;
    const int64_t count = shape[a] / size + (shape[a] % size != 0);
    if (parts[i] != 1 && parts[i] != count) return false;
  }
  return true;
}

// (x - zero) * scale with scales of float32, as DequantizeLinear computes it. `scale` (and `zero`,
// if not null) has one number, one per index along `axis`, or the rank of x with blocks of `block`
// along `axis` and dimensions of 1 that are repeated.
Result<Numbers> Product(Numbers x, const Numbers& scale, const Numbers* zero, int64_t axis,
                        int64_t block) {
  if (axis < 0) axis += static_cast<int64_t>(x.shape.size());
  if (block < 1 || scale.values.empty() || !Fits(x.shape, scale.shape, axis, block) ||
      (zero && zero->shape != scale.shape))
    return UsageError("scales of scales do not fit");
  for (const double value : scale.values) RETURN_IF_ERROR(ScaleOf(value).status());
  for (size_t i = 0; i < x.values.size(); ++i) {
    const size_t part = PartOf(x.shape, i, scale.shape, axis, block);
    const double unit = static_cast<float>(scale.values[part]);
    x.values[i] = (x.values[i] - (zero ? zero->values[part] : 0)) * unit;
  }
  return x;
}

Result<Numbers> ReadPerBlockScales(const Json& entry, EncodingEntry* raw) {
  RETURN_IF_ERROR(Find(entry, "block_size").status());
  ASSIGN_OR_RETURN(Numbers x, NumbersAt(entry, "per_block_int_scale"));
  for (const double value : x.values)
    if (value < 1 || value != std::floor(value))
      return UsageError(StrCat("integer scale ", value, " is not one of 1, 2, 3, ..."));
  ASSIGN_OR_RETURN(const Numbers scale, NumbersAt(entry, "per_channel_float_scale"));
  if (!raw->floats) raw->scale_kind = ScaleKind::kInteger;
  return Product(std::move(x), scale, nullptr, 0, 1);
}

// Whether x fits its type; fractions must state their type.
Status CheckInputType(const Json& y_scale, const Numbers& x, EncodingEntry* raw) {
  if (!y_scale.contains("input_dtype")) {
    for (const double value : x.values)
      if (value != std::floor(value))
        return UsageError(StrCat("'x' holds ", value, ", which takes an 'input_dtype'"));
    if (!raw->floats) raw->scale_kind = ScaleKind::kInteger;
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const std::string name, TextAt(y_scale, "input_dtype"));
  const DType type = ParseDType(name);
  if (!IsInteger(type) && !IsFloating(type))
    return UsageError(StrCat("input_dtype '", Printable(name), "' is not known"));
  const auto floats = FloatsOf(type);
  for (const double value : x.values) {
    const bool fits = floats ? std::ranges::binary_search(quant::GridLevels(*floats), value)
                             : IsFloating(type) || value == std::floor(value);
    if (!fits) return UsageError(StrCat("'x' holds ", value, ", which ", name, " does not"));
  }
  if (IsInteger(type) && !raw->floats) raw->scale_kind = ScaleKind::kInteger;
  if (type == DType::kFloat8E4M3FN && raw->floats && raw->floats->bits == 4)
    raw->scale_kind = ScaleKind::kFloat8;
  return OkStatus();
}

Result<Numbers> ReadQuantizedScale(const Json& y_scale, EncodingEntry* raw) {
  ASSIGN_OR_RETURN(Numbers x, NumbersAt(y_scale, "x"));
  RETURN_IF_ERROR(CheckInputType(y_scale, x, raw));
  ASSIGN_OR_RETURN(const Numbers scale, NumbersAt(y_scale, "x_scale"));
  Numbers zero;
  const bool has_zero = y_scale.contains("x_zero_point");
  if (has_zero) {
    ASSIGN_OR_RETURN(zero, NumbersAt(y_scale, "x_zero_point"));
  }
  int64_t axis = 0, block = 1;
  if (y_scale.contains("axis")) {
    ASSIGN_OR_RETURN(axis, IntegerAt(y_scale, "axis"));
  }
  if (y_scale.contains("block_size")) {
    ASSIGN_OR_RETURN(block, IntegerAt(y_scale, "block_size"));
  }
  return Product(std::move(x), scale, has_zero ? &zero : nullptr, axis, block);
}

// Widths of the codes and of the decompressed grid.
Status ReadWidths(const Json& entry, EncodingEntry* raw, int64_t* wide) {
  ASSIGN_OR_RETURN(*wide, IntegerAt(entry, "bw"));
  ASSIGN_OR_RETURN(const int64_t narrow, IntegerAt(entry, "compressed_bw"));
  RETURN_IF_ERROR(SetBits(*wide, raw));
  RETURN_IF_ERROR(SetBits(narrow, raw));
  if (narrow >= *wide)
    return UsageError(StrCat("'compressed_bw' ", narrow, " is not below 'bw' ", *wide));
  return OkStatus();
}

// Both grids are symmetric; the offsets of the wide one tell whether it is AIMET's strict one.
Status ReadLowPowerOffsets(const Json& entry, int64_t wide, EncodingEntry* raw) {
  ASSIGN_OR_RETURN(raw->symmetric, BoolAt(entry, "is_sym"));
  ASSIGN_OR_RETURN(std::vector<int64_t> offsets, IntegersAt(entry, "offset"));
  if (!raw->symmetric) return UsageError("LPBQ that is not symmetric");
  if (static_cast<int64_t>(offsets.size()) != raw->channels)
    return UsageError("'scale' and 'offset' are not lists of the same length");
  const int64_t middle = int64_t{1} << (wide - 1);
  const bool strict = offsets[0] == 1 - middle;
  for (const int64_t offset : offsets)
    if (offset != (strict ? 1 - middle : -middle))
      return UsageError(StrCat("offset ", offset, " where LPBQ of ", wide, " bits has ", -middle));
  raw->is_signed = true;
  if (strict) raw->narrow = true;
  return OkStatus();
}

}  // namespace

std::optional<Json> LowPowerFields(const Encoding& e, const Shape& shape,
                                   const std::vector<size_t>& order) {
  if (e.grid.scales != ScaleKind::kInteger || e.grid.is_float()) return std::nullopt;
  const int64_t middle = int64_t{1} << (e.grid.bits - 1);
  const bool centered = std::all_of(e.params.begin(), e.params.end(),
                                    [&](const auto& p) { return OffsetOf(e.grid, p) == -middle; });
  const auto found = BlockScaleCodes(e, shape);
  if (!centered || !found) return std::nullopt;
  const auto blocks = static_cast<size_t>(ScaleShape(e, shape)[static_cast<size_t>(e.axis)]);
  Json scale = Json::array(), offset = Json::array(), codes = Json::array();
  for (size_t i = 0; i < order.size(); ++i) {
    if (i % blocks == 0) {
      scale.push_back(static_cast<double>(found->UnitOf(order[i])));
      offset.push_back(-(middle << kScaleBits));
    }
    codes.push_back(static_cast<int64_t>(found->codes[order[i]]));
  }
  return Json{{"bw", e.grid.bits + kScaleBits},
              {"compressed_bw", e.grid.bits},
              {"is_sym", true},
              {"block_size", e.block_size},
              {"scale", std::move(scale)},
              {"offset", std::move(offset)},
              {"per_block_int_scale", std::move(codes)}};
}

std::optional<Json> ScaleLevelFields(const Encoding& e, const Shape& shape,
                                     const std::string& version) {
  const ScaleKind kind = e.grid.scales;
  const bool integer = kind == ScaleKind::kInteger, nested = version == "2.0.0";
  if (!integer && (nested || kind != ScaleKind::kFloat8)) return std::nullopt;
  const auto found = BlockScaleCodes(e, shape);
  if (!found) return std::nullopt;
  const Shape scales = ScaleShape(e, shape);
  std::vector<Json> units;
  for (const float unit : found->units) units.push_back(static_cast<double>(unit));
  Json codes = Nested(scales, CodesJson(*found, kind));
  if (nested) {
    Shape unit_shape(scales.size(), 1);
    if (found->unit_axis >= 0)
      unit_shape[static_cast<size_t>(found->unit_axis)] = static_cast<int64_t>(units.size());
    return Json{{"per_block_int_scale", std::move(codes)},
                {"per_channel_float_scale", Nested(unit_shape, units)}};
  }
  Json y_scale = {{"x", std::move(codes)}};
  y_scale["x_scale"] = integer && found->unit_axis >= 0 ? Json(units) : units[0];
  if (!integer) y_scale["input_dtype"] = DTypeName(DType::kFloat8E4M3FN);
  if (found->unit_axis >= 0) y_scale["axis"] = found->unit_axis;
  return Json{{"y_scale", std::move(y_scale)}};
}

Status ReadLowPower(const Json& entry, EncodingEntry* raw) {
  int64_t wide = 0;
  RETURN_IF_ERROR(ReadWidths(entry, raw, &wide));
  ASSIGN_OR_RETURN(raw->block_size, IntegerAt(entry, "block_size"));
  ASSIGN_OR_RETURN(const Numbers units, NumbersAt(entry, "scale"));
  if (units.shape.size() != 1) return UsageError("'scale' is not a list of numbers");
  raw->channels = units.shape[0];
  RETURN_IF_ERROR(ReadLowPowerOffsets(entry, wide, raw));
  ASSIGN_OR_RETURN(const std::vector<int64_t> codes, IntegersAt(entry, "per_block_int_scale"));
  if (codes.size() % units.values.size() != 0)
    return UsageError(StrCat(codes.size(), " integer scales for ", units.values.size(),
                             " channels: not the same number for each"));
  const size_t blocks = codes.size() / units.values.size();
  const int64_t most = int64_t{1} << (wide - raw->bits);
  for (size_t i = 0; i < codes.size(); ++i) {
    ASSIGN_OR_RETURN(const double unit, ScaleOf(units.values[i / blocks]));
    if (codes[i] < 1 || codes[i] > most)
      return UsageError(StrCat("integer scale ", codes[i], " is not one of 1 to ", most));
    const double product = static_cast<double>(codes[i]) * static_cast<float>(unit);
    ASSIGN_OR_RETURN(const double scale, ScaleOf(product));
    raw->scales.push_back(scale);
  }
  raw->zero_points.assign(codes.size(), 0);
  raw->granularity = Granularity::kBlock;
  raw->scale_kind = ScaleKind::kInteger;
  return OkStatus();
}

Result<Numbers> ReadScaleLevels(const Json& entry, EncodingEntry* raw) {
  if (entry.contains("per_block_int_scale")) return ReadPerBlockScales(entry, raw);
  ASSIGN_OR_RETURN(const Json* y_scale, Find(entry, "y_scale"));
  return y_scale->is_object() ? ReadQuantizedScale(*y_scale, raw) : NumbersOf(*y_scale, "y_scale");
}

}  // namespace roundel::io
