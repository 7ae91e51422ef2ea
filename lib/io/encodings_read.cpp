#include "lib/io/encodings_json.h"

#include <algorithm>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "lib/io/encoding_entry.h"
#include "lib/io/json_fields.h"
#include "lib/io/scale_levels.h"

namespace roundel::io {
namespace {

using quant::Encoding;
using quant::EncodingTable;
using quant::Granularity;
using quant::Grid;

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
  if (entry.contains("zero_point_shift")) {
    ASSIGN_OR_RETURN(const Numbers shifts, NumbersAt(entry, "zero_point_shift"));
    if (std::ranges::any_of(shifts.values, [](double shift) { return shift != 0; }))
      return UsageError("levels between the codes ('zero_point_shift') are not supported");
  }
  ASSIGN_OR_RETURN(const std::string kind, TextAt(entry, "enc_type"));
  if (kind == "LPBQ") {
    RETURN_IF_ERROR(ReadLowPower(entry, &raw));
    return std::optional<EncodingEntry>(std::move(raw));
  }
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
  ASSIGN_OR_RETURN(std::vector<int64_t> offsets, IntegersAt(entry, "offset"));
  for (const Json& item : *scales) {
    ASSIGN_OR_RETURN(const double scale, ScaleOf(item));
    raw.scales.push_back(scale);
  }
  RETURN_IF_ERROR(SetOffsets(std::move(offsets), &raw));
  return std::optional<EncodingEntry>(std::move(raw));
}

// y_zero_point of 2.x, one for each scale or one for all; 0 without it.
Status ReadZeroPoints(const Json& entry, const std::string& dtype, const Shape& shape,
                      EncodingEntry* raw) {
  raw->zero_points.assign(raw->scales.size(), 0);
  if (entry.contains("y_zero_point") && !entry["y_zero_point"].is_null()) {
    Shape zero_shape;
    std::vector<const Json*> zeros;
    RETURN_IF_ERROR(Flatten(entry["y_zero_point"], &zero_shape, &zeros).At("y_zero_point"));
    if (!zero_shape.empty() && zero_shape != shape)
      return UsageError("'y_scale' and 'y_zero_point' differ in shape");
    for (size_t i = 0; i < raw->zero_points.size(); ++i) {
      const Json& zero = *zeros[zero_shape.empty() ? 0 : i];
      ASSIGN_OR_RETURN(raw->zero_points[i], Integer(zero, "y_zero_point"));
    }
  }
  const Grid grid{.bits = raw->bits, .is_signed = raw->is_signed};
  const int64_t middle = raw->is_signed ? 0 : int64_t{1} << (raw->bits - 1);
  raw->symmetric = true;
  for (const int64_t zero : raw->zero_points) {
    if (zero < grid.qmin() ||
        zero > static_cast<int64_t>(grid.qmin()) + (int64_t{1} << raw->bits) - 1)
      return UsageError(StrCat("zero point ", zero, " does not exist in ", dtype));
    if (raw->floats && zero != 0) return UsageError("floats have no zero point");
    raw->symmetric &= zero == middle;
  }
  return OkStatus();
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
  ASSIGN_OR_RETURN(Numbers scales, ReadScaleLevels(entry, &raw));
  const Shape shape = std::move(scales.shape);
  for (const double value : scales.values) {
    ASSIGN_OR_RETURN(const double scale, ScaleOf(value));
    raw.scales.push_back(scale);
  }
  RETURN_IF_ERROR(ReadZeroPoints(entry, dtype, shape, &raw));
  if (shape.empty()) return std::optional<EncodingEntry>(std::move(raw));
  raw.granularity = entry.contains("block_size") ? Granularity::kBlock : Granularity::kChannel;
  if (raw.granularity == Granularity::kBlock) {
    ASSIGN_OR_RETURN(raw.block_size, IntegerAt(entry, "block_size"));
  }
  ASSIGN_OR_RETURN(raw.axis, IntegerAt(entry, "axis"));
  raw.scale_shape = shape;
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
    const Status known = CheckVersion(*version);
    if (!known.ok()) return Error(known.message());
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

Result<EncodingTable> ParseEncodingsJson(const std::string& json, const std::string& source,
                                         const graph::Graph& graph) {
  if (NestedTooDeep(json))
    return UsageError(StrCat("'", source, "': nested deeper than ", kMaxNesting, " levels"));
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
