#include "lib/report/report.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "lib/report/details_json.h"
#include "lib/report/gate_json.h"

namespace roundel::report {
namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const MetricValue& value) {
  if (const auto* number = std::get_if<double>(&value))
    return std::isfinite(*number) ? Json(*number) : Json(nullptr);
  return std::visit([](const auto& v) { return Json(v); }, value);
}

Json ToJson(const std::vector<std::pair<std::string, MetricValue>>& values) {
  Json object = Json::object();
  for (const auto& [name, value] : values) object[name] = ToJson(value);
  return object;
}

Json ToJson(const LayerOutcome& layer) {
  Json json = {{"node", layer.node}};
  if (!layer.shared_with.empty()) {
    json["shared_with"] = layer.shared_with;
    return json;
  }
  const auto number = [&](const char* name, std::optional<double> value) {
    if (value) json[name] = ToJson(MetricValue(*value));
  };
  number("error_before", layer.error_before);
  number("error_after", layer.error_after);
  number("held_out_before", layer.held_out_before);
  number("held_out_after", layer.held_out_after);
  number("bound", layer.bound);
  json["columns"] = layer.columns;
  json["inputs"] = layer.inputs;
  json["on_columns"] = layer.on_columns;
  if (!layer.note.empty()) json["note"] = layer.note;
  return json;
}

Json ToJson(const PassReport& pass) {
  Json records = Json::array();
  for (const Record& record : pass.records) {
    Json entry = {{"subject", record.subject}, {"action", record.action}};
    if (!record.reason.empty()) entry["reason"] = record.reason;
    records.push_back(std::move(entry));
  }
  Json json = {{"name", pass.name},
               {"outcome", pass.outcome},
               {"metrics", ToJson(pass.metrics)},
               {"records", std::move(records)}};
  if (!pass.layers.empty()) {
    Json layers = Json::array();
    for (const LayerOutcome& layer : pass.layers) layers.push_back(ToJson(layer));
    json["layers"] = std::move(layers);
  }
  if (!pass.ranges.empty()) json["ranges"] = ListJson(pass.ranges);
  if (!pass.channel_ranges.empty()) json["channel_ranges"] = ListJson(pass.channel_ranges);
  return json;
}

// Characters rather than bytes: continuation bytes of UTF-8 take no column.
size_t Width(const std::string& text) {
  size_t width = 0;
  for (char c : text) width += (static_cast<unsigned char>(c) & 0xc0u) != 0x80u;
  return width;
}

// Digits, signs, decimal points, exponents, percent, or a unit after a space.
bool LooksNumeric(const std::string& text) {
  if (text.empty() || text == "-" || text == "inf" || text == "-inf" || text == "nan") return true;
  const size_t digit = text.find_first_of("0123456789");
  if (digit == std::string::npos || text.find_first_not_of("+-.") < digit) return false;
  const size_t end = text.find_first_not_of("0123456789.,eE+-");
  return end == std::string::npos || text[end] == ' ' || text[end] == '%';
}

}  // namespace

std::string LayerOutcome::Text() const {
  if (!shared_with.empty()) return StrCat("as ", shared_with, ", whose weights it shares");
  std::string text = StrFormat("error %.3g -> %.3g", error_before, error_after);
  if (bound) text += StrFormat(", bound %.3g", *bound);
  if (held_out_before && held_out_after)
    text += StrFormat(" (held out %.3g -> %.3g)", *held_out_before, *held_out_after);
  text += StrCat(", ", columns, " columns of ", inputs);
  if (underdetermined()) text += " (fewer than the layer has inputs)";
  if (on_columns) text += ", in the space of its columns";
  return note.empty() ? text : text + ", " + note;
}

std::string TextTable(const std::vector<std::vector<std::string>>& rows) {
  size_t columns = 0;
  for (const auto& row : rows) columns = std::max(columns, row.size());
  std::vector<size_t> widths(columns, 0);
  std::vector<bool> numeric(columns, rows.size() > 1);
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t c = 0; c < rows[r].size(); ++c) {
      widths[c] = std::max(widths[c], Width(rows[r][c]));
      if (r > 0 && !LooksNumeric(rows[r][c])) numeric[c] = false;
    }
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      if (c > 0) line += "  ";
      const std::string padding(widths[c] - Width(row[c]), ' ');
      line += numeric[c] ? padding + row[c] : row[c] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

namespace {

Json TimesOf(const PassReport& pass) {
  Json times = {
      {"name", pass.name}, {"seconds", pass.seconds}, {"peak_rss_bytes", pass.peak_rss_bytes}};
  if (pass.resumed > 0) times["resumed"] = pass.resumed;
  Json nodes = Json::object();
  for (const Record& record : pass.records)
    if (record.seconds > 0) nodes[record.subject] = record.seconds;
  for (const LayerOutcome& layer : pass.layers)
    if (layer.seconds > 0) nodes[layer.node] = layer.seconds;
  if (!nodes.empty()) times["nodes"] = std::move(nodes);
  return times;
}

}  // namespace

std::string ReportJson(const Report& report) {
  Json passes = Json::array(), pass_times = Json::array();
  for (const PassReport& pass : report.passes) {
    passes.push_back(ToJson(pass));
    pass_times.push_back(TimesOf(pass));
  }
  Json float_nodes = Json::array();
  for (const Record& node : report.float_nodes)
    float_nodes.push_back(
        {{"node", node.subject}, {"op_type", node.action}, {"reason", node.reason}});
  Json timing = ToJson(report.timing);
  timing["passes"] = std::move(pass_times);
  Json json = {{"schema", "roundel.report/1"},
               {"facts", ToJson(report.facts)},
               {"gates", GatesJson(report.gates)},
               {"passes", std::move(passes)},
               {"float_nodes", std::move(float_nodes)}};
  if (!report.layers.empty()) json["layers"] = ListJson(report.layers);
  if (!report.network.empty())
    json["network"] = {{"samples", report.network_samples}, {"values", ListJson(report.network)}};
  if (!report.recipe.empty()) json["recipe"] = report.recipe;
  json["warnings"] = report.warnings;
  json["timing"] = std::move(timing);
  // Names come from models and file systems: bytes that are not UTF-8 must not throw.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

int64_t PeakRssBytes() {
  // Not getrusage: its maximum survives exec, so that a child would report its parent's memory.
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::strtoll(line.c_str() + 6, nullptr, 10) * 1024;
  return 0;
}

}  // namespace roundel::report
