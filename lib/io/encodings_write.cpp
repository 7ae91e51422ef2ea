#include "lib/io/encodings_json.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "lib/io/encoding_entry.h"
#include "lib/io/json_fields.h"
#include "lib/io/scale_levels.h"
#include "lib/io/table_summary.h"
#include "lib/io/weight_axes.h"

namespace roundel::io {
namespace {

using quant::Encoding;
using quant::EncodingTable;
using quant::Granularity;
using quant::QParams;
using quant::Role;

Status Unsupported(const std::string& version, const std::string& what) {
  return UsageError(StrCat("encodings version ", version, " cannot hold ", what));
}

Status CheckAssumedAxis(const std::string& name, const Encoding& e, const Shape& shape,
                        const std::string& version, const graph::Graph& graph) {
  if (IsVersion2(version) || e.granularity == Granularity::kTensor) return OkStatus();
  const auto axes = FindWeightAxes(graph, name, static_cast<int64_t>(shape.size()));
  const int64_t assumed = !axes                                  ? -1
                          : e.granularity == Granularity::kBlock ? axes->block
                                                                 : axes->channel;
  if (assumed == e.axis) return OkStatus();
  return Unsupported(version, StrCat("scales along axis ", e.axis,
                                     ": its readers assume the axis "
                                     "from the operator"));
}

Status CheckAxis(const std::string& name, const Encoding& e, const std::string& version,
                 const graph::Graph* graph) {
  const auto shape = graph ? FindShape(*graph, name) : std::nullopt;
  if (!shape) return OkStatus();
  RETURN_IF_ERROR(CheckEncoding(e, *shape));
  return CheckAssumedAxis(name, e, *shape, version, *graph);
}

// Shape of a value with a blocked encoding.
Result<Shape> BlockedShape(const std::string& name, const Encoding& e, const graph::Graph* graph) {
  auto shape = graph ? FindShape(*graph, name) : std::nullopt;
  if (!shape && e.codes) shape = e.codes->shape();
  if (!shape) return UsageError("blocks of a value of unknown shape");
  RETURN_IF_ERROR(CheckEncoding(e, *shape));
  return *shape;
}

Result<Json> Entries061(const Encoding& e) {
  // Floats have a width and no scale: readers keep the value in that type.
  if (e.grid.is_float()) return Json::array({{{"bitwidth", e.grid.bits}, {"dtype", "float"}}});
  if (e.granularity == Granularity::kBlock) return Unsupported("0.6.1", "blocks");
  Json entries = Json::array();
  for (const QParams& p : e.params) {
    const double scale = p.scale;
    const auto edge = [&](int64_t code) {
      return scale * static_cast<double>(code - p.zero_point);
    };
    entries.push_back({{"bitwidth", e.grid.bits},
                       {"dtype", "int"},
                       {"is_symmetric", e.grid.symmetric ? "True" : "False"},
                       {"max", edge(e.grid.qmax())},
                       {"min", edge(e.grid.qmin())},
                       {"offset", OffsetOf(e.grid, p)},
                       {"scale", scale}});
  }
  return entries;
}

Result<Json> Entry100(const std::string& name, const Encoding& e, const graph::Graph* graph) {
  Json entry = {{"name", name}};
  if (e.grid.is_float()) {
    entry.update({{"enc_type", "PER_TENSOR"}, {"dtype", "FLOAT"}, {"bw", e.grid.bits}});
    return entry;
  }
  const char* const kinds[] = {"PER_TENSOR", "PER_CHANNEL", "PER_BLOCK"};
  const bool blocked = e.granularity == Granularity::kBlock;
  entry.update({{"enc_type", kinds[static_cast<int>(e.granularity)]}, {"dtype", "INT"}});
  std::vector<size_t> order(e.params.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (blocked) {
    ASSIGN_OR_RETURN(const Shape shape, BlockedShape(name, e, graph));
    ASSIGN_OR_RETURN(order, BlockOrder(e, ScaleShape(e, shape)));
    if (const auto low_power = LowPowerFields(e, shape, order)) {
      entry["enc_type"] = "LPBQ";
      entry.update(*low_power);
      return entry;
    }
  }
  entry.update({{"bw", e.grid.bits}, {"is_sym", e.grid.symmetric}});
  if (blocked) entry["block_size"] = e.block_size;
  Json scale = Json::array(), offset = Json::array();
  for (const size_t i : order) {
    scale.push_back(static_cast<double>(e.params[i].scale));
    offset.push_back(OffsetOf(e.grid, e.params[i]));
  }
  entry["scale"] = std::move(scale);
  entry["offset"] = std::move(offset);
  return entry;
}

Result<Json> Entry200(const std::string& name, const Encoding& e, const std::string& version,
                      const graph::Graph* graph) {
  const DType type = e.grid.storage_type();
  if (BitWidth(type) != e.grid.bits)
    return Unsupported(version, StrCat("a grid of ", e.grid.bits, " bits"));
  Shape shape;  // of the scales
  std::optional<Json> levels;
  if (e.granularity == Granularity::kChannel) shape = {static_cast<int64_t>(e.params.size())};
  if (e.granularity == Granularity::kBlock) {
    ASSIGN_OR_RETURN(const Shape value_shape, BlockedShape(name, e, graph));
    levels = ScaleLevelFields(e, value_shape, version);
    shape = ScaleShape(e, value_shape);
  }
  Json entry = {{"name", name}, {"output_dtype", DTypeName(type)}};
  std::vector<Json> scales, zero_points;
  for (const QParams& p : e.params) {
    scales.push_back(static_cast<double>(p.scale));
    zero_points.push_back(p.zero_point);
  }
  entry.update(levels ? *levels : Json{{"y_scale", Nested(shape, scales)}});
  const auto is_zero = [](const QParams& p) { return p.zero_point == 0; };
  if (!std::all_of(e.params.begin(), e.params.end(), is_zero))
    entry["y_zero_point"] = Nested(shape, zero_points);
  if (e.granularity != Granularity::kTensor) entry["axis"] = e.axis;
  if (e.granularity == Granularity::kBlock) entry["block_size"] = e.block_size;
  return entry;
}

// The keys that AIMET's loader checks before the entries.
Json QuantizerArgs(const EncodingTable& table, bool booleans_as_text) {
  const TableSummary summary = Summarize(table);
  const auto flag = [&](bool value) {
    return booleans_as_text ? Json(value ? "True" : "False") : Json(value);
  };
  return {{"activation_bitwidth", summary.activation_bits},
          {"dtype", "int"},
          {"is_symmetric", flag(summary.symmetric)},
          {"param_bitwidth", summary.weight_bits},
          {"per_channel_quantization", flag(summary.per_channel)},
          {"quant_scheme", "post_training_tf"}};
}

// One line per entry: readable, and diffs show single tensors.
class Lines {
 public:
  void Open(const std::string& key, char bracket) {
    text_ += StrCat(first_section_ ? "" : ",", "\n \"", key, "\": ", bracket);
    first_section_ = false;
    first_entry_ = true;
  }
  void Entry(const std::string& line) {
    text_ += StrCat(first_entry_ ? "" : ",", "\n  ", line);
    first_entry_ = false;
  }
  void Close(char bracket) { text_ += StrCat(first_entry_ ? "" : "\n ", bracket); }
  void Value(const std::string& key, const std::string& value) {
    text_ += StrCat(first_section_ ? "" : ",", "\n \"", key, "\": ", value);
    first_section_ = false;
  }
  std::string Take() { return "{" + text_ + "\n}\n"; }

 private:
  std::string text_;
  bool first_section_ = true, first_entry_ = true;
};

Status CheckWritable(const std::string& name, const Encoding& e, const std::string& version,
                     const graph::Graph* graph) {
  for (const QParams& p : e.params)
    if (!(p.scale > 0) || !std::isfinite(p.scale))
      return ModelError(StrCat("scale ", static_cast<double>(p.scale), " is not positive"));
  if (e.granularity != Granularity::kTensor && e.role == Role::kActivation && !IsVersion2(version))
    return Unsupported(version, "activations with more than one scale");
  return CheckAxis(name, e, version, graph);
}

Result<Json> EntryOf(const std::string& name, const Encoding& e, const std::string& version,
                     const graph::Graph* graph) {
  if (e.grid.scales == quant::ScaleKind::kSigned) {
    ASSIGN_OR_RETURN(Json entry, EntryOf(name, PositiveScales(e), version, graph));
    // The requested grid: the offsets tell which side has the extra code. If it is on the upper
    // side for all, readers would take the grid for a symmetric one without that code.
    const bool mixed =
        std::any_of(e.params.begin(), e.params.end(), [](const QParams& p) { return p.scale > 0; });
    if (entry.is_object() && entry.contains("is_sym") && mixed) entry["is_sym"] = e.grid.symmetric;
    return entry;
  }
  RETURN_IF_ERROR(CheckWritable(name, e, version, graph));
  if (version == "0.6.1") return Entries061(e);
  return version == "1.0.0" ? Entry100(name, e, graph) : Entry200(name, e, version, graph);
}

Status WriteSection(const EncodingTable& table, const std::string& version,
                    const graph::Graph* graph, bool (*belongs)(Role), Lines* lines) {
  for (const auto& [name, e] : table) {
    if (!belongs(e.role)) continue;
    if (IsVersion2(version) && !e.grid.has_scale()) continue;  // values without entry are floats
    auto entry = EntryOf(name, e, version, graph);
    if (!entry.ok())
      return std::move(entry).status().At(StrCat("encoding of '", Printable(name), "'"));
    const std::string key = version == "0.6.1" ? Json(name).dump() + ": " : "";
    lines->Entry(key + entry->dump());
  }
  return OkStatus();
}

Status WriteAll(const EncodingTable& table, const std::string& version, const graph::Graph* graph,
                const EncodingsOrigin* origin, Lines* lines) {
  lines->Value("version", "\"" + version + "\"");
  if (origin) lines->Value("roundel", EncodingsOriginJson(*origin));
  if (IsVersion2(version)) {
    lines->Open("encodings", '[');
    RETURN_IF_ERROR(WriteSection(
        table, version, graph, [](Role) { return true; }, lines));
    lines->Close(']');
    return OkStatus();
  }
  const bool dictionary = version == "0.6.1";
  const char open = dictionary ? '{' : '[', close = dictionary ? '}' : ']';
  lines->Open("activation_encodings", open);
  RETURN_IF_ERROR(WriteSection(
      table, version, graph, [](Role role) { return role == Role::kActivation; }, lines));
  lines->Close(close);
  lines->Open("param_encodings", open);
  RETURN_IF_ERROR(WriteSection(
      table, version, graph, [](Role role) { return role != Role::kActivation; }, lines));
  lines->Close(close);
  lines->Value("quantizer_args", QuantizerArgs(table, dictionary).dump());
  if (!dictionary) lines->Value("excluded_layers", "[]");
  return OkStatus();
}

}  // namespace

Result<std::string> EncodingsJson(const EncodingTable& table, const std::string& version,
                                  const graph::Graph* graph, const EncodingsOrigin* origin) {
  const Status known = CheckVersion(version);
  if (!known.ok()) return UsageError("encodings " + known.message());
  try {
    Lines lines;
    RETURN_IF_ERROR(WriteAll(table, version, graph, origin, &lines));
    return lines.Take();
  } catch (const nlohmann::json::exception&) {
    return ModelError("a value's name is not UTF-8, which JSON cannot hold");
  }
}

Status CheckEncodingForm(const std::string& value, const Encoding& e, const std::string& version,
                         const graph::Graph& graph) {
  if (version == "0.6.1" && e.granularity == Granularity::kBlock && !e.grid.is_float())
    return Unsupported(version, "blocks");
  if (IsVersion2(version) && e.grid.has_scale() && BitWidth(e.grid.storage_type()) != e.grid.bits)
    return Unsupported(version, StrCat("a grid of ", e.grid.bits, " bits"));
  const auto shape = FindShape(graph, value);
  if (!shape) return OkStatus();
  if (version == "1.0.0" && e.granularity == Granularity::kBlock && !e.grid.is_float())
    RETURN_IF_ERROR(BlockOrder(e, ScaleShape(e, *shape)).status());
  return CheckAssumedAxis(value, e, *shape, version, graph);
}

}  // namespace roundel::io
