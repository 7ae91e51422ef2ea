#include "lib/io/encodings_json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "lib/io/coded_scales.h"
#include "lib/io/encoding_entry.h"
#include "lib/io/table_summary.h"
#include "lib/io/weight_axes.h"

namespace roundel::io {
namespace {

using Json = nlohmann::ordered_json;  // keys in the order of the specification's examples
using quant::Encoding;
using quant::EncodingTable;
using quant::Granularity;
using quant::Grid;
using quant::QParams;
using quant::Role;

const std::vector<std::string> kVersions = {"0.6.1", "1.0.0", "2.0.0", "2.1.0"};

bool IsVersion2(const std::string& version) { return version.starts_with("2."); }

Status Unsupported(const std::string& version, const std::string& what) {
  return UsageError(StrCat("encodings version ", version, " cannot hold ", what));
}

// ---- writing

Status CheckAxis(const std::string& name, const Encoding& e, const std::string& version,
                 const graph::Graph* graph) {
  const auto shape = graph ? FindShape(*graph, name) : std::nullopt;
  if (!shape) return OkStatus();
  RETURN_IF_ERROR(CheckEncoding(e, *shape));
  if (IsVersion2(version) || e.granularity == Granularity::kTensor) return OkStatus();
  const auto axes = FindWeightAxes(*graph, name, static_cast<int64_t>(shape->size()));
  const int64_t assumed = !axes                                  ? -1
                          : e.granularity == Granularity::kBlock ? axes->block
                                                                 : axes->channel;
  if (assumed == e.axis) return OkStatus();
  return Unsupported(version, StrCat("scales along axis ", e.axis,
                                     ": its readers assume the axis "
                                     "from the operator"));
}

// Shape of the scales of a blocked encoding.
Result<Shape> BlockShape(const std::string& name, const Encoding& e, const graph::Graph* graph) {
  auto shape = graph ? FindShape(*graph, name) : std::nullopt;
  if (!shape && e.codes) shape = e.codes->shape();
  if (!shape) return UsageError("blocks of a value of unknown shape");
  RETURN_IF_ERROR(CheckEncoding(e, *shape));
  return ScaleShape(e, *shape);
}

Result<Json> Entries061(const Encoding& e) {
  // Floats have a width there and no scale: their readers keep the value in that type.
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
  entry["enc_type"] = kinds[static_cast<int>(e.granularity)];
  entry["dtype"] = "INT";
  entry["bw"] = e.grid.bits;
  entry["is_sym"] = e.grid.symmetric;
  std::vector<size_t> order(e.params.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  if (e.granularity == Granularity::kBlock) {
    entry["block_size"] = e.block_size;
    ASSIGN_OR_RETURN(const Shape scales, BlockShape(name, e, graph));
    ASSIGN_OR_RETURN(order, BlockOrder(e, scales));
  }
  Json scale = Json::array(), offset = Json::array();
  for (const size_t i : order) {
    scale.push_back(static_cast<double>(e.params[i].scale));
    offset.push_back(OffsetOf(e.grid, e.params[i]));
  }
  entry["scale"] = std::move(scale);
  entry["offset"] = std::move(offset);
  return entry;
}

// Nested arrays of `shape`, row-major; value(i) is the i-th number.
template <typename Value>
Json NestedFrom(const Shape& shape, const Value& value, size_t axis, size_t* at) {
  if (axis == shape.size()) return Json(value((*at)++));
  Json list = Json::array();
  for (int64_t i = 0; i < shape[axis]; ++i) list.push_back(NestedFrom(shape, value, axis + 1, at));
  return list;
}
template <typename Value>
Json Nested(const Shape& shape, const Value& value) {
  size_t at = 0;
  return NestedFrom(shape, value, 0, &at);
}

Result<Json> Entry200(const std::string& name, const Encoding& e, const graph::Graph* graph) {
  const DType type = e.grid.storage_type();
  if (BitWidth(type) != e.grid.bits)
    return Unsupported("2.0.0", StrCat("a grid of ", e.grid.bits, " bits"));
  Shape shape;
  if (e.granularity == Granularity::kChannel) shape = {static_cast<int64_t>(e.params.size())};
  if (e.granularity == Granularity::kBlock) {
    ASSIGN_OR_RETURN(shape, BlockShape(name, e, graph));
  }
  Json entry = {{"name", name}, {"output_dtype", DTypeName(type)}};
  entry["y_scale"] =
      Nested(shape, [&](size_t i) { return static_cast<double>(e.params[i].scale); });
  const auto is_zero = [](const QParams& p) { return p.zero_point == 0; };
  if (!std::all_of(e.params.begin(), e.params.end(), is_zero))
    entry["y_zero_point"] = Nested(shape, [&](size_t i) { return e.params[i].zero_point; });
  if (e.granularity != Granularity::kTensor) entry["axis"] = e.axis;
  if (e.granularity == Granularity::kBlock) entry["block_size"] = e.block_size;
  return entry;
}

// What AIMET's own loader looks at before the entries.
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
  if (e.grid.scales == quant::ScaleKind::kSigned)
    return EntryOf(name, PositiveScales(e), version, graph);
  RETURN_IF_ERROR(CheckWritable(name, e, version, graph));
  if (version == "0.6.1") return Entries061(e);
  return version == "1.0.0" ? Entry100(name, e, graph) : Entry200(name, e, graph);
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
                Lines* lines) {
  lines->Value("version", "\"" + version + "\"");
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

// ---- reading

Result<const Json*> Find(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) return UsageError(StrCat("key '", key, "' is missing"));
  return &*it;
}

// For messages; never a list or object, which may be nested arbitrarily deep.
std::string Shown(const Json& value) {
  if (value.is_structured()) return value.is_array() ? "a list" : "an object";
  return Printable(value.dump(), 40);
}

Result<int64_t> Integer(const Json& value, const char* what) {
  if (value.is_number()) {
    const double number = value.get<double>();
    if (number == std::floor(number) && std::abs(number) <= 0x1p33)
      return static_cast<int64_t>(number);
  }
  return UsageError(StrCat("'", what, "' is not a whole number: ", Shown(value)));
}
Result<int64_t> IntegerAt(const Json& object, const char* key) {
  ASSIGN_OR_RETURN(const Json* value, Find(object, key));
  return Integer(*value, key);
}

Result<bool> BoolAt(const Json& object, const char* key) {
  ASSIGN_OR_RETURN(const Json* value, Find(object, key));
  if (value->is_boolean()) return value->get<bool>();
  if (*value == "True" || *value == "true") return true;
  if (*value == "False" || *value == "false") return false;
  return UsageError(StrCat("'", key, "' is not a boolean: ", Shown(*value)));
}

Result<std::string> TextAt(const Json& object, const char* key) {
  ASSIGN_OR_RETURN(const Json* value, Find(object, key));
  if (!value->is_string()) return UsageError(StrCat("'", key, "' is not a string"));
  return value->get<std::string>();
}

Result<double> ScaleOf(const Json& value) {
  const double scale = value.is_number() ? value.get<double>() : 0;
  const auto narrow = static_cast<float>(std::min(scale, 0x1p130));  // the grid computes in float
  if (value.is_number() && narrow > 0 && std::isfinite(narrow)) return scale;
  return UsageError(StrCat("scale ", Shown(value), " is not a positive number"));
}

Status SetBits(int64_t bits, EncodingEntry* raw) {
  if (bits < 2 || bits > 32) return UsageError(StrCat(bits, " bits; 2 to 32 are possible"));
  raw->bits = static_cast<int>(bits);
  return OkStatus();
}

bool IsFloatType(const std::string& dtype) { return dtype == "float" || dtype == "FLOAT"; }

// nullopt: the value stays float.
Result<std::optional<EncodingEntry>> Parse061(const Json& list) {
  if (!list.is_array() || list.empty()) return UsageError("not a list of encodings");
  EncodingEntry raw;
  std::vector<int64_t> offsets;
  bool narrow = true;
  for (const Json& entry : list) {
    if (!entry.is_object()) return UsageError("not a list of encodings");
    ASSIGN_OR_RETURN(const std::string dtype, TextAt(entry, "dtype"));
    if (IsFloatType(dtype)) return std::optional<EncodingEntry>();
    if (dtype != "int") return UsageError(StrCat("dtype '", Printable(dtype), "' is not known"));
    ASSIGN_OR_RETURN(const int64_t bits, IntegerAt(entry, "bitwidth"));
    ASSIGN_OR_RETURN(const bool symmetric, BoolAt(entry, "is_symmetric"));
    if (!offsets.empty() && (bits != raw.bits || symmetric != raw.symmetric))
      return UsageError("channels differ in 'bitwidth' or 'is_symmetric'");
    RETURN_IF_ERROR(SetBits(bits, &raw));
    raw.symmetric = symmetric;
    ASSIGN_OR_RETURN(const int64_t offset, IntegerAt(entry, "offset"));
    offsets.push_back(offset);
    ASSIGN_OR_RETURN(const Json* scale_value, Find(entry, "scale"));
    ASSIGN_OR_RETURN(const double scale, ScaleOf(*scale_value));
    raw.scales.push_back(scale);
    // The lowest value of the narrow grid is one step nearer to zero.
    const auto min = entry.find("min");
    narrow &= min != entry.end() && min->is_number() &&
              min->get<double>() > (static_cast<double>(offset) + 0.5) * scale;
  }
  if (raw.scales.size() > 1) raw.granularity = Granularity::kChannel;
  raw.narrow = narrow && raw.symmetric;
  RETURN_IF_ERROR(SetOffsets(std::move(offsets), &raw));
  return std::optional<EncodingEntry>(std::move(raw));
}

Result<std::optional<EncodingEntry>> Parse100(const Json& entry) {
  EncodingEntry raw;
  ASSIGN_OR_RETURN(const std::string dtype, TextAt(entry, "dtype"));
  if (IsFloatType(dtype)) return std::optional<EncodingEntry>();
  if (dtype != "INT") return UsageError(StrCat("dtype '", Printable(dtype), "' is not known"));
  ASSIGN_OR_RETURN(const std::string kind, TextAt(entry, "enc_type"));
  if (kind == "PER_CHANNEL") raw.granularity = Granularity::kChannel;
  if (kind == "PER_BLOCK") raw.granularity = Granularity::kBlock;
  if (kind != "PER_TENSOR" && raw.granularity == Granularity::kTensor)
    return UsageError(StrCat("enc_type '", Printable(kind), "' is not supported"));
  ASSIGN_OR_RETURN(const int64_t bits, IntegerAt(entry, "bw"));
  RETURN_IF_ERROR(SetBits(bits, &raw));
  ASSIGN_OR_RETURN(raw.symmetric, BoolAt(entry, "is_sym"));
  if (raw.granularity == Granularity::kBlock) {
    ASSIGN_OR_RETURN(raw.block_size, IntegerAt(entry, "block_size"));
  }
  ASSIGN_OR_RETURN(const Json* scales, Find(entry, "scale"));
  ASSIGN_OR_RETURN(const Json* offset_list, Find(entry, "offset"));
  if (!scales->is_array() || !offset_list->is_array() || scales->empty() ||
      scales->size() != offset_list->size())
    return UsageError("'scale' and 'offset' are not lists of the same length");
  std::vector<int64_t> offsets;
  for (size_t i = 0; i < scales->size(); ++i) {
    ASSIGN_OR_RETURN(const double scale, ScaleOf((*scales)[i]));
    ASSIGN_OR_RETURN(const int64_t offset, Integer((*offset_list)[i], "offset"));
    raw.scales.push_back(scale);
    offsets.push_back(offset);
  }
  RETURN_IF_ERROR(SetOffsets(std::move(offsets), &raw));
  return std::optional<EncodingEntry>(std::move(raw));
}

// Values of nested arrays in row-major order; kUsage if rows differ in length.
Status Flatten(const Json& value, size_t axis, Shape* shape, std::vector<const Json*>* flat) {
  if (!value.is_array()) {
    if (axis != shape->size()) return UsageError("nested lists of different depth");
    flat->push_back(&value);
    return OkStatus();
  }
  const auto length = static_cast<int64_t>(value.size());
  constexpr size_t kMaxRank = 16;
  if (flat->empty() && axis == shape->size() && axis < kMaxRank && length > 0)
    shape->push_back(length);
  if (axis >= shape->size() || (*shape)[axis] != length)
    return UsageError("nested lists of different length");
  for (const Json& item : value) RETURN_IF_ERROR(Flatten(item, axis + 1, shape, flat));
  return OkStatus();
}

Result<Numbers> NumbersOf(const Json& value, const char* what) {
  Numbers numbers;
  std::vector<const Json*> flat;
  RETURN_IF_ERROR(Flatten(value, 0, &numbers.shape, &flat).At(what));
  for (const Json* item : flat) {
    if (!item->is_number()) return UsageError(StrCat("'", what, "' holds ", Shown(*item)));
    numbers.values.push_back(item->get<double>());
  }
  return numbers;
}
Result<Numbers> NumbersAt(const Json& object, const char* key) {
  ASSIGN_OR_RETURN(const Json* value, Find(object, key));
  return NumbersOf(*value, key);
}

// y_scale, or what stands for it: integers with scales of their own.
Result<Numbers> Scales200(const Json& entry) {
  if (entry.contains("per_block_int_scale")) {
    ASSIGN_OR_RETURN(Numbers x, NumbersAt(entry, "per_block_int_scale"));
    ASSIGN_OR_RETURN(const Numbers scale, NumbersAt(entry, "per_channel_float_scale"));
    return CodedScales(std::move(x), scale, nullptr, 0, 1);
  }
  ASSIGN_OR_RETURN(const Json* y_scale, Find(entry, "y_scale"));
  if (!y_scale->is_object()) return NumbersOf(*y_scale, "y_scale");
  ASSIGN_OR_RETURN(Numbers x, NumbersAt(*y_scale, "x"));
  ASSIGN_OR_RETURN(const Numbers scale, NumbersAt(*y_scale, "x_scale"));
  Numbers zero;
  const bool has_zero = y_scale->contains("x_zero_point");
  if (has_zero) {
    ASSIGN_OR_RETURN(zero, NumbersAt(*y_scale, "x_zero_point"));
  }
  int64_t axis = 0, block = 1;
  if (y_scale->contains("axis")) {
    ASSIGN_OR_RETURN(axis, IntegerAt(*y_scale, "axis"));
  }
  if (y_scale->contains("block_size")) {
    ASSIGN_OR_RETURN(block, IntegerAt(*y_scale, "block_size"));
  }
  return CodedScales(std::move(x), scale, has_zero ? &zero : nullptr, axis, block);
}

Result<std::optional<EncodingEntry>> Parse200(const Json& entry) {
  EncodingEntry raw;
  ASSIGN_OR_RETURN(const std::string dtype, TextAt(entry, "output_dtype"));
  const DType type = ParseDType(dtype);
  raw.floats = FloatsOf(type);
  if (IsFloating(type) && (!raw.floats || !entry.contains("y_scale")))
    return std::optional<EncodingEntry>();
  if ((!raw.floats && !IsInteger(type)) || BitWidth(type) > 32 || type == DType::kUint32)
    return UsageError(StrCat("output_dtype '", Printable(dtype), "' is not known"));
  raw.bits = BitWidth(type);
  raw.is_signed = raw.floats || dtype[0] == 'i';
  ASSIGN_OR_RETURN(Numbers scales, Scales200(entry));
  Shape shape = std::move(scales.shape), zero_shape;
  std::vector<const Json*> zeros;
  for (const double value : scales.values) {
    ASSIGN_OR_RETURN(const double scale, ScaleOf(value));
    raw.scales.push_back(scale);
  }
  raw.zero_points.assign(raw.scales.size(), 0);
  if (entry.contains("y_zero_point") && !entry["y_zero_point"].is_null()) {
    RETURN_IF_ERROR(Flatten(entry["y_zero_point"], 0, &zero_shape, &zeros).At("y_zero_point"));
    if (zero_shape != shape) return UsageError("'y_scale' and 'y_zero_point' differ in shape");
    for (size_t i = 0; i < zeros.size(); ++i) {
      ASSIGN_OR_RETURN(raw.zero_points[i], Integer(*zeros[i], "y_zero_point"));
    }
  }
  const Grid grid{.bits = raw.bits, .is_signed = raw.is_signed};
  const int64_t middle = raw.is_signed ? 0 : int64_t{1} << (raw.bits - 1);
  raw.symmetric = true;
  for (const int64_t zero : raw.zero_points) {
    if (zero < grid.qmin() ||
        zero > static_cast<int64_t>(grid.qmin()) + (int64_t{1} << raw.bits) - 1)
      return UsageError(StrCat("zero point ", zero, " does not exist in ", dtype));
    if (raw.floats && zero != 0) return UsageError("floats have no zero point");
    raw.symmetric &= zero == middle;
  }
  if (shape.empty()) return std::optional<EncodingEntry>(std::move(raw));
  raw.granularity = entry.contains("block_size") ? Granularity::kBlock : Granularity::kChannel;
  if (raw.granularity == Granularity::kBlock) {
    ASSIGN_OR_RETURN(raw.block_size, IntegerAt(entry, "block_size"));
  }
  ASSIGN_OR_RETURN(raw.axis, IntegerAt(entry, "axis"));
  raw.scale_shape = std::move(shape);
  return std::optional<EncodingEntry>(std::move(raw));
}

bool Exists(const graph::Graph& graph, const std::string& name) {
  return graph.IsInput(name) || graph.Producer(name) || graph.FindInitializer(name);
}

class Reader {
 public:
  Reader(const std::string& source, const graph::Graph& graph) : source_(source), graph_(graph) {}

  Result<EncodingTable> Read(const Json& root) {
    if (!root.is_object()) return Error("not a JSON object");
    auto version = TextAt(root, "version");
    if (!version.ok()) return Error(version.status().message());
    if (std::find(kVersions.begin(), kVersions.end(), *version) == kVersions.end())
      return Error(StrCat("version '", Printable(*version), "' is not one of ", Join(kVersions)));
    if (IsVersion2(*version)) {
      RETURN_IF_ERROR(ReadSection(root, "encodings", std::nullopt, Parse200));
    } else {
      const auto parse = *version == "0.6.1" ? Parse061 : Parse100;
      RETURN_IF_ERROR(ReadSection(root, "activation_encodings", false, parse));
      RETURN_IF_ERROR(ReadSection(root, "param_encodings", true, parse));
    }
    return std::move(table_);
  }

 private:
  using Parser = Result<std::optional<EncodingEntry>> (*)(const Json&);

  Status Error(const std::string& message) const {
    return UsageError(StrCat("'", source_, "': ", message));
  }

  Status ReadSection(const Json& root, const char* key, std::optional<bool> is_param,
                     Parser parse) {
    const auto section = root.find(key);
    if (section == root.end()) return Error(StrCat("key '", key, "' is missing"));
    if (parse == Parse061) {
      if (!section->is_object()) return Error(StrCat("'", key, "' is not an object"));
      for (const auto& [name, list] : section->items())
        RETURN_IF_ERROR(Add(name, list, is_param, parse));
      return OkStatus();
    }
    if (!section->is_array()) return Error(StrCat("'", key, "' is not a list"));
    for (const Json& entry : *section) {
      auto name = entry.is_object() ? TextAt(entry, "name") : UsageError("not an object");
      if (!name.ok()) return Error(StrCat("an entry of '", key, "': ", name.status().message()));
      RETURN_IF_ERROR(Add(*name, entry, is_param, parse));
    }
    return OkStatus();
  }

  Status Add(const std::string& name, const Json& entry, std::optional<bool> is_param,
             Parser parse) {
    const std::string where = StrCat("'", source_, "': entry '", Printable(name), "'");
    if (!seen_.insert(name).second) return UsageError("the name occurs twice").At(where);
    auto raw = parse(entry);
    if (!raw.ok()) return std::move(raw).status().At(where);
    if (!*raw) return OkStatus();  // stays float
    (*raw)->is_param = is_param;
    if (!Exists(graph_, name))
      return UsageError("the model has no such value: is the file of another model?").At(where);
    auto encoding = CompleteEntry(**raw, name, graph_);
    if (!encoding.ok()) return std::move(encoding).status().At(where);
    table_[name] = std::move(*encoding);
    return OkStatus();
  }

  const std::string& source_;
  const graph::Graph& graph_;
  std::set<std::string> seen_;
  EncodingTable table_;
};

}  // namespace

Result<std::string> EncodingsJson(const EncodingTable& table, const std::string& version,
                                  const graph::Graph* graph) {
  if (std::find(kVersions.begin(), kVersions.end(), version) == kVersions.end())
    return UsageError(
        StrCat("encodings version '", Printable(version), "' is not one of ", Join(kVersions)));
  try {
    Lines lines;
    RETURN_IF_ERROR(WriteAll(table, version, graph, &lines));
    return lines.Take();
  } catch (const nlohmann::json::exception&) {
    return ModelError("a value's name is not UTF-8, which JSON cannot hold");
  }
}

Result<EncodingTable> ParseEncodingsJson(const std::string& json, const std::string& source,
                                         const graph::Graph& graph) {
  try {
    return Reader(source, graph).Read(Json::parse(json));
  } catch (const nlohmann::json::parse_error& error) {
    const size_t position = std::min(error.byte, json.size());
    const auto line =
        1 + std::count(json.begin(), json.begin() + static_cast<long>(position), '\n');
    return UsageError(StrCat("'", source, "': malformed JSON in line ", line));
  } catch (const nlohmann::json::exception&) {
    return UsageError(StrCat("'", source, "': malformed JSON (a number out of range?)"));
  }
}

}  // namespace roundel::io
