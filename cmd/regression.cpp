#include "cmd/regression.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/report/report.h"

namespace roundel::cmd {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

enum class Unit { kPoints, kDecibels, kPercent };
const char* UnitName(Unit unit) {
  return unit == Unit::kPoints ? "points" : unit == Unit::kDecibels ? "dB" : "percent";
}

struct Metric {
  std::string name;
  Unit unit = Unit::kPercent;  // of changes
  bool larger_is_better = false;
  double value = 0;
};

// The metrics of a document, and what they were measured on.
struct Document {
  std::vector<Metric> metrics;
  std::map<std::string, std::string> hashes;  // of data
};

class Reader {
 public:
  explicit Reader(bool seconds) : seconds_(seconds) {}

  // Throws what the JSON library throws for members of other types than the schema's.
  Document Read(const Json& json) {
    if (json.at("schema") == "roundel.report/1")
      ReadReport(json);
    else
      ReadEval(json);
    return std::move(document_);
  }

 private:
  void Add(const std::string& name, const Json& value, Unit unit, bool larger_is_better) {
    // An exact output has an infinite SQNR, which JSON cannot hold.
    const double number =
        value.is_null() ? (unit == Unit::kDecibels ? kInfinity : NAN) : value.get<double>();
    document_.metrics.push_back({name, unit, larger_is_better, number});
  }

  void ReadReport(const Json& json) {
    const Json facts = json.at("facts").get_ref<const Json::object_t&>();
    for (const auto& [key, value] : facts.items()) {
      if (key == "eval_top1_quantized") Add(key, value, Unit::kPoints, true);
      if (key.find("_agreement_percent ") != std::string::npos)
        Add(key, value, Unit::kPoints, true);
      if (key.find("_sqnr_db ") != std::string::npos) Add(key, value, Unit::kDecibels, true);
      if (key == "output_bytes") Add(key, value, Unit::kPercent, false);
      if (key == "eval_data_hash" || key == "data_hash")
        document_.hashes[key] = value.get<std::string>();
    }
    if (seconds_) Add("seconds", json.at("timing").at("seconds"), Unit::kPercent, false);
  }

  void ReadEval(const Json& json) {
    const Json& model = json.at("models").back();
    if (model.contains("top1_percent"))
      Add("top1_percent", model["top1_percent"], Unit::kPoints, true);
    if (model.contains("perplexity")) Add("perplexity", model["perplexity"], Unit::kPercent, false);
    if (json.contains("kl_nats")) Add("kl_nats", json["kl_nats"], Unit::kPercent, false);
    for (const Json& output : json.value("outputs", Json::array())) {
      const std::string name = output.at("name");
      Add("sqnr_db " + name, output.at("sqnr_db"), Unit::kDecibels, true);
      if (output.contains("top1_agreement_percent"))
        Add("top1_agreement_percent " + name, output["top1_agreement_percent"], Unit::kPoints,
            true);
    }
    if (json.contains("data_hash")) document_.hashes["data_hash"] = json["data_hash"];
  }

  const bool seconds_;
  Document document_;
};

Result<Json> ReadJson(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  Json json = Json::parse(text, nullptr, false);
  const bool named = json.is_object() && json.contains("schema") && json["schema"].is_string();
  const std::string schema = named ? json["schema"].get<std::string>() : "";
  if (schema == "roundel.report/1" || schema == "roundel.eval/1") return json;
  return UsageError(StrCat("'", path, "' is no report of quantize and no output of eval --json",
                           named ? StrCat(": its schema is '", Printable(schema), "'") : ""));
}

Result<Document> ReadDocument(const Json& json, const std::string& path, bool seconds) {
  try {
    return Reader(seconds).Read(json);
  } catch (const Json::exception& e) {
    return UsageError(StrCat("'", path, "' does not fit its schema: ", e.what()));
  }
}

// A metric in both documents; `regress` > 0 is worse.
struct Row {
  Metric before;
  std::optional<double> after;  // none: it is missing
  double regress = kInfinity, limit = 0;

  bool failed() const { return !(regress <= limit); }
};

double Regress(const Metric& before, double after) {
  if (before.value == after || (std::isnan(before.value) && std::isnan(after))) return 0;
  double worse = before.larger_is_better ? before.value - after : after - before.value;
  if (before.unit == Unit::kPercent) worse *= 100 / std::fabs(before.value);
  return std::isnan(worse) ? kInfinity : worse;
}

std::vector<Row> RowsOf(const RegressionOptions& options, const Document& before,
                        const Document& after) {
  std::vector<Row> rows;
  for (const Metric& metric : before.metrics) {
    Row row{.before = metric};
    row.limit = metric.name == "seconds" ? options.max_slower : options.max_regress;
    for (const Metric& other : after.metrics)
      if (other.name == metric.name) row.after = other.value;
    if (row.after) row.regress = Regress(metric, *row.after);
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.failed() != b.failed() ? a.failed() : a.regress > b.regress;
  });
  return rows;
}

std::string Change(const Row& row) {
  if (!row.after) return "missing";
  return StrFormat(row.regress > 0   ? "%.4g %s worse"
                   : row.regress < 0 ? "%.4g %s better"
                                     : "same",
                   std::fabs(row.regress), UnitName(row.before.unit));
}

std::string Message(const Row& row) {
  if (!row.after) return StrCat(row.before.name, " is in the baseline only");
  return StrCat(row.before.name, StrFormat(" was %.6g and is %.6g: ", row.before.value, *row.after),
                Change(row), StrFormat(", allowed are %.4g", row.limit));
}

Json ToJson(const RegressionOptions& options, const std::vector<Row>& rows) {
  Json json = {{"schema", "roundel.regression/1"},
               {"baseline", options.baseline},
               {"current", options.current},
               {"metrics", Json::array()}};
  for (const Row& row : rows) {
    Json entry = {{"name", row.before.name},
                  {"unit", UnitName(row.before.unit)},
                  {"baseline", row.before.value}};
    entry["current"] = row.after ? Json(*row.after) : Json(nullptr);
    entry["regress"] = row.regress;
    entry["limit"] = row.limit;
    entry["verdict"] = row.failed() ? "failed" : "passed";
    json["metrics"].push_back(std::move(entry));
  }
  return json;
}

void Print(const std::vector<Row>& rows, std::ostream& out) {
  std::vector<std::vector<std::string>> table = {
      {"metric", "baseline", "current", "change", "allowed", "verdict"}};
  for (const Row& row : rows)
    table.push_back({Printable(row.before.name), StrFormat("%.6g", row.before.value),
                     row.after ? StrFormat("%.6g", *row.after) : "-", Change(row),
                     StrFormat("%.4g %s", row.limit, UnitName(row.before.unit)),
                     row.failed() ? "failed" : "passed"});
  out << report::TextTable(table);
}

}  // namespace

Status CompareReports(const RegressionOptions& options, std::vector<report::Case>* cases,
                      Console& console) {
  ASSIGN_OR_RETURN(const Json old_json, ReadJson(options.baseline));
  ASSIGN_OR_RETURN(const Json new_json, ReadJson(options.current));
  if (old_json["schema"] != new_json["schema"])
    return UsageError("a report of quantize and an output of eval have different metrics");
  const bool seconds = options.max_slower >= 0;
  ASSIGN_OR_RETURN(Document before, ReadDocument(old_json, options.baseline, seconds));
  ASSIGN_OR_RETURN(Document after, ReadDocument(new_json, options.current, seconds));
  if (before.metrics.empty())
    return UsageError(StrCat("'", options.baseline, "' has no metric to compare"));
  for (const auto& [key, hash] : before.hashes)
    if (after.hashes.contains(key) && after.hashes[key] != hash)
      LogWarning(StrCat("the two runs used different data (", key, " ", hash, " and ",
                        after.hashes[key], "): values of one need not compare with the other's"));
  const std::vector<Row> rows = RowsOf(options, before, after);
  size_t failed = 0;
  for (const Row& row : rows) {
    failed += row.failed();
    cases->push_back(
        {.suite = options.current,
         .name = row.before.name,
         .state = row.failed() ? report::Case::State::kFailed : report::Case::State::kPassed,
         .message = Message(row),
         .file = options.current,
         .severity = row.regress});
  }
  if (console.json)
    console.out << ToJson(options, rows).dump(2, ' ', false, Json::error_handler_t::replace)
                << "\n";
  else
    Print(rows, console.out);
  if (failed == 0) return OkStatus();
  return {ErrorKind::kGate,
          StrCat("regression: ", Message(rows[0]),
                 failed > 1 ? StrCat("; and ", failed - 1, " more of ", rows.size()) : "")};
}

}  // namespace roundel::cmd
