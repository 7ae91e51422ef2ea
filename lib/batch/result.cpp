#include "lib/batch/result.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace roundel::batch {
namespace {

using Json = nlohmann::ordered_json;
constexpr char kSchema[] = "roundel.status/1";

std::string TextOf(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

double NumberOf(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : 0;
}

int64_t WholeOf(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

void AddWorst(const char* name, double value, JobResult* result) {
  for (auto& [known, worst] : result->metrics) {
    if (known != name) continue;
    worst = std::min(worst, value);
    return;
  }
  result->metrics.emplace_back(name, value);
}

// Facts per output ("check_sqnr_db NAME") become that of the worst output.
void AddFact(const std::string& name, const Json& value, JobResult* result) {
  constexpr const char* kWorst[] = {"check_sqnr_db", "check_agreement_percent", "eval_sqnr_db",
                                    "eval_agreement_percent"};
  if (!value.is_number()) return;
  for (const char* metric : kWorst)
    if (name.starts_with(std::string(metric) + " "))
      return AddWorst(metric, value.get<double>(), result);
  const bool of_outputs = name.find(' ') != std::string::npos;
  if (name.starts_with("eval_") && !of_outputs && !name.ends_with("_samples"))
    result->metrics.emplace_back(name, value.get<double>());
}

Json ParseOrNull(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  return json.is_discarded() ? Json() : json;
}

}  // namespace

std::string StatusLine(const JobResult& result) {
  Json json = {
      {"schema", kSchema},
      {"id", result.id},
      {"hash", result.hash},
      {"exit_code", result.exit_code},
      {"kind", result.kind},
      {"message", result.message},
      {"seconds", std::round(result.seconds * 1000) / 1000},
      {"peak_memory_bytes", result.peak_memory},
      {"sizes", {{"model_bytes", result.model_bytes}, {"output_bytes", result.output_bytes}}},
      {"metrics", Json::object()},
      {"gates", ParseOrNull(result.gates)},
      {"output", result.output},
      {"report", result.report}};
  for (const auto& [name, value] : result.metrics) json["metrics"][name] = value;
  if (!json["gates"].is_array()) json["gates"] = Json::array();
  if (result.timeout > 0) json["timeout_seconds"] = result.timeout;
  if (result.memory > 0) json["memory_limit_bytes"] = result.memory;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<JobResult> ParseStatusLine(const std::string& line) {
  const Json json = ParseOrNull(line);
  if (!json.is_object() || TextOf(json, "schema") != kSchema) return std::nullopt;
  JobResult result;
  result.id = TextOf(json, "id");
  result.hash = TextOf(json, "hash");
  result.kind = TextOf(json, "kind");
  if (result.id.empty() || result.hash.empty() || result.kind.empty()) return std::nullopt;
  result.exit_code = static_cast<int>(WholeOf(json, "exit_code"));
  result.message = TextOf(json, "message");
  result.seconds = NumberOf(json, "seconds");
  result.peak_memory = WholeOf(json, "peak_memory_bytes");
  if (const auto sizes = json.find("sizes"); sizes != json.end() && sizes->is_object()) {
    result.model_bytes = WholeOf(*sizes, "model_bytes");
    result.output_bytes = WholeOf(*sizes, "output_bytes");
  }
  if (const auto metrics = json.find("metrics"); metrics != json.end() && metrics->is_object())
    for (const auto& [name, value] : metrics->items())
      if (value.is_number()) result.metrics.emplace_back(name, value.get<double>());
  if (const auto gates = json.find("gates"); gates != json.end() && gates->is_array())
    result.gates = gates->dump();
  result.output = TextOf(json, "output");
  result.report = TextOf(json, "report");
  result.timeout = NumberOf(json, "timeout_seconds");
  result.memory = WholeOf(json, "memory_limit_bytes");
  return result;
}

void ReadReport(const std::string& json, JobResult* result) {
  const Json report = ParseOrNull(json);
  if (!report.is_object()) return;
  if (const auto facts = report.find("facts"); facts != report.end() && facts->is_object()) {
    for (const auto& [name, value] : facts->items()) AddFact(name, value, result);
    if (const int64_t bytes = WholeOf(*facts, "model_bytes"); bytes > 0)
      result->model_bytes = bytes;
  }
  if (const auto gates = report.find("gates"); gates != report.end() && gates->is_array())
    result->gates = gates->dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace roundel::batch
