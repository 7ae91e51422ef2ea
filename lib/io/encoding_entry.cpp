#include "lib/io/encoding_entry.h"

#include <algorithm>

#include "lib/base/text.h"
#include "lib/io/weight_axes.h"
#include "lib/quant/coded_scales.h"

namespace roundel::io {
namespace {

using quant::Encoding;
using quant::Granularity;
using quant::QParams;
using quant::Role;

// Reorders flat scales from (channel, block) to the order of the value's axes.
Status SortBlocks(Encoding* e, const Shape& shape) {
  ASSIGN_OR_RETURN(const std::vector<size_t> order, BlockOrder(*e, ScaleShape(*e, shape)));
  std::vector<QParams> sorted(e->params.size());
  for (size_t i = 0; i < sorted.size(); ++i) sorted[order[i]] = e->params[i];
  e->params = std::move(sorted);
  return OkStatus();
}

// Whether no element of the constant `value` rounds to the lowest code of the full grid.
bool FitsNarrow(const Tensor& value, const Encoding& e) {
  if (value.dtype() != DType::kFloat || e.grid.bits > 16) return false;
  const int32_t qmin = e.grid.qmin(), qmax = e.grid.qmax();
  const float* x = value.data<float>();
  for (int64_t i = 0; i < value.size(); ++i) {
    const QParams& p = e.params[static_cast<size_t>(e.ParamIndex(value.shape(), i))];
    if (quant::Quantize(x[i], p, qmin, qmax) == qmin) return false;
  }
  return true;
}

Status SetAxis(const EncodingEntry& entry, const std::string& name, const graph::Graph& graph,
               const Shape& shape, Encoding* e) {
  const auto rank = static_cast<int64_t>(shape.size());
  if (entry.axis) {
    if (*entry.axis < -rank || *entry.axis >= rank)
      return UsageError(
          StrCat("axis ", *entry.axis, " does not exist in shape ", ShapeString(shape)));
    e->axis = *entry.axis < 0 ? *entry.axis + rank : *entry.axis;
    return OkStatus();
  }
  const auto axes = FindWeightAxes(graph, name, rank);
  if (!axes) return UsageError("no operator that reads it determines the axis of the scales");
  e->axis = e->granularity == Granularity::kBlock ? axes->block : axes->channel;
  return OkStatus();
}

// A grid with coded scales, if the products are of that kind and blocks have the format's size.
void SetScaleKind(quant::ScaleKind kind, const Shape& shape, Encoding* e) {
  const quant::Grid free = e->grid;
  e->grid.scales = kind;
  const int64_t size = e->grid.block_size();
  if ((size > 0 && size != e->block_size) || !quant::FindScaleCodes(shape, *e)) e->grid = free;
}

// Axis and order of several scales, and whether they fit the value.
Status PlaceScales(const EncodingEntry& entry, const std::string& name, const graph::Graph& graph,
                   Encoding* e) {
  const auto shape = FindShape(graph, name);
  if (!shape) return UsageError("several scales for a value of unknown shape");
  RETURN_IF_ERROR(SetAxis(entry, name, graph, *shape, e));
  const Status fits = CheckEncoding(*e, *shape);
  if (!fits.ok()) return UsageError(fits.message());
  const Shape scales = ScaleShape(*e, *shape);
  if (entry.scale_shape && *entry.scale_shape != scales)
    return UsageError(StrCat("scales of shape ", ShapeString(*entry.scale_shape), " where ",
                             ShapeString(scales), " is needed"));
  if (e->granularity != Granularity::kBlock) return OkStatus();
  if (!entry.scale_shape) {
    const int64_t channels = NumElements(scales) / scales[static_cast<size_t>(e->axis)];
    if (entry.channels && *entry.channels != channels)
      return UsageError(
          StrCat("scales of ", *entry.channels, " channels where ", channels, " are needed"));
    RETURN_IF_ERROR(SortBlocks(e, *shape));
  }
  SetScaleKind(entry.scale_kind, *shape, e);
  return OkStatus();
}

const std::vector<std::string> kVersions = {"0.6.1", "1.0.0", "2.0.0", "2.1.0"};

}  // namespace

Status CheckVersion(const std::string& version) {
  if (std::ranges::find(kVersions, version) != kVersions.end()) return OkStatus();
  return UsageError(StrCat("version '", Printable(version), "' is not one of ", Join(kVersions)));
}

bool IsVersion2(const std::string& version) { return version.starts_with("2."); }

Status SetBits(int64_t bits, EncodingEntry* entry) {
  if (bits < 2 || bits > 32) return UsageError(StrCat(bits, " bits; 2 to 32 are possible"));
  entry->bits = static_cast<int>(bits);
  return OkStatus();
}

std::optional<quant::Grid> FloatsOf(DType type) {
  for (const quant::NamedGrid& named : quant::NamedGrids())
    if (named.grid.is_float() && named.grid.has_scale() && named.grid.storage_type() == type)
      return named.grid;
  return std::nullopt;
}

Encoding PositiveScales(const Encoding& encoding) {
  Encoding e = encoding;
  e.grid.scales = quant::ScaleKind::kFloat;
  e.grid.symmetric = false;
  for (QParams& p : e.params)
    if (p.scale < 0) p = {-p.scale, p.zero_point - 1};
  return e;
}

Status SetOffsets(std::vector<int64_t> offsets, EncodingEntry* entry) {
  const int64_t middle = int64_t{1} << (entry->bits - 1);
  for (const int64_t offset : offsets)
    if (offset > 0 || offset <= -2 * middle)
      return UsageError(
          StrCat("offset ", offset, " does not exist on a grid of ", entry->bits, " bits"));
  const auto all = [&](int64_t value) {
    return std::all_of(offsets.begin(), offsets.end(), [&](int64_t o) { return o == value; });
  };
  // AIMET's "strict" grids omit the highest unsigned code: the narrow signed grid.
  const bool strict = entry->symmetric && entry->bits > 2 && all(1 - middle);
  entry->is_signed = entry->bits == 32 || strict || (entry->symmetric && all(-middle));
  entry->symmetric &= entry->is_signed;  // "unsigned symmetric" starts at 0: not symmetric here
  if (strict) entry->narrow = true;
  const int64_t shift = strict ? middle - 1 : entry->is_signed ? middle : 0;
  for (const int64_t offset : offsets) entry->zero_points.push_back(-offset - shift);
  return OkStatus();
}

int64_t OffsetOf(const quant::Grid& grid, const QParams& params) {
  return -(params.zero_point + (grid.is_signed ? int64_t{1} << (grid.bits - 1) : 0));
}

Result<Encoding> CompleteEntry(const EncodingEntry& entry, const std::string& name,
                               const graph::Graph& graph) {
  Encoding e;
  e.role = FindRole(graph, name, entry.bits);
  if (entry.is_param && *entry.is_param != (e.role != Role::kActivation))
    return UsageError(*entry.is_param
                          ? "listed as a parameter, but it is not a constant of the model"
                          : "listed as an activation, but it is a constant of the model");
  e.grid = {.bits = entry.bits, .is_signed = entry.is_signed, .symmetric = entry.symmetric};
  if (entry.floats) e.grid = *entry.floats;
  e.granularity = entry.granularity;
  e.block_size = entry.block_size;
  e.decided_by = "encodings file";
  for (size_t i = 0; i < entry.scales.size(); ++i)
    e.params.push_back(
        {static_cast<float>(entry.scales[i]), static_cast<int32_t>(entry.zero_points[i])});
  if (e.granularity != Granularity::kTensor)
    RETURN_IF_ERROR(PlaceScales(entry, name, graph, &e));
  else if (e.params.size() != 1)
    return UsageError(StrCat(e.params.size(), " scales where one is needed"));
  if (entry.narrow)
    e.grid.narrow_range = *entry.narrow;
  else if (e.role == Role::kWeight && !entry.floats && e.grid.symmetric && e.grid.is_signed)
    e.grid.narrow_range = FitsNarrow(*graph.Constant(name), e);
  return e;
}

Result<std::vector<size_t>> BlockOrder(const Encoding& e, const Shape& scales) {
  std::vector<size_t> others;
  for (size_t axis = 0; axis < scales.size(); ++axis)
    if (static_cast<int64_t>(axis) != e.axis && scales[axis] != 1) others.push_back(axis);
  if (others.size() > 1)
    return UsageError(StrCat("encodings version 1.0.0 cannot hold blocks with scales of shape ",
                             ShapeString(scales)));
  std::vector<size_t> order(e.params.size());
  const auto blocks = static_cast<size_t>(scales[static_cast<size_t>(e.axis)]);
  const size_t channels = blocks == 0 ? 0 : order.size() / blocks;
  const bool channel_first = others.empty() || static_cast<int64_t>(others[0]) < e.axis;
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = channel_first ? i : i % blocks * channels + i / blocks;
  return order;
}

}  // namespace roundel::io
