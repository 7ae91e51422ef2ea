#include "cmd/batch_table.h"

#include <nlohmann/json.hpp>

#include <map>

#include "lib/base/input_file.h"
#include "lib/base/text.h"
#include "lib/batch/classify.h"
#include "lib/report/report.h"

namespace roundel::cmd {
namespace {

using batch::JobResult;
using Json = nlohmann::ordered_json;

const double* Metric(const JobResult& result, const std::string& name) {
  for (const auto& [known, value] : result.metrics)
    if (known == name) return &value;
  return nullptr;
}

// The SQNR of the worst output, on the evaluation set if there is one.
std::string SqnrText(const JobResult& result) {
  const double* value = Metric(result, "eval_sqnr_db");
  if (value == nullptr) value = Metric(result, "check_sqnr_db");
  return value == nullptr ? "-" : StrFormat("%.1f", *value);
}

std::string Top1Text(const JobResult& result) {
  const double *before = Metric(result, "eval_top1_float"),
               *after = Metric(result, "eval_top1_quantized");
  return before == nullptr || after == nullptr ? "-" : StrFormat("%.2f -> %.2f", *before, *after);
}

std::string BytesText(int64_t bytes) { return bytes > 0 ? HumanBytes(bytes) : "-"; }

std::vector<std::string> TableRow(const BatchRow& row) {
  if (row.result == nullptr) return {row.id, "not run", "-", "-", "-", "-", "-", "-"};
  const JobResult& result = *row.result;
  return {row.id,
          row.ran ? result.kind : result.kind + " (earlier)",
          BytesText(result.model_bytes),
          BytesText(result.output_bytes),
          SqnrText(result),
          Top1Text(result),
          StrFormat("%.1f", result.seconds),
          BytesText(result.peak_memory)};
}

std::map<std::string, int> Counts(const std::vector<BatchRow>& rows) {
  std::map<std::string, int> counts;
  for (const BatchRow& row : rows) ++counts[row.result == nullptr ? "not run" : row.result->kind];
  return counts;
}

std::string CountsText(const std::vector<BatchRow>& rows) {
  std::vector<std::string> parts;
  for (const auto& [kind, count] : Counts(rows)) parts.push_back(StrCat(count, " ", kind));
  return Join(parts);
}

Json ToJson(const std::vector<BatchRow>& rows, double seconds) {
  Json json = {{"schema", "roundel.batch/1"},
               {"jobs", Json::array()},
               {"counts", Counts(rows)},
               {"seconds", seconds}};
  for (const BatchRow& row : rows) {
    Json job = row.result == nullptr ? Json{{"id", row.id}, {"kind", "not run"}}
                                     : Json::parse(batch::StatusLine(*row.result));
    job["ran"] = row.ran;
    json["jobs"].push_back(std::move(job));
  }
  return json;
}

}  // namespace

std::string ResultLine(const JobResult& result) {
  std::string line = StrCat(result.id, ": ", result.kind);
  if (result.output_bytes > 0)
    line += StrCat(", ", HumanBytes(result.model_bytes), " -> ", HumanBytes(result.output_bytes));
  if (const std::string sqnr = SqnrText(result); sqnr != "-") line += ", " + sqnr + " dB";
  line += StrFormat(", %.1f s", result.seconds);
  return result.message.empty() ? line : line + ": " + result.message;
}

void PrintBatch(const std::vector<BatchRow>& rows, double seconds, Console& console) {
  if (console.json) {
    console.out << ToJson(rows, seconds).dump(2, ' ', false, Json::error_handler_t::replace)
                << "\n";
    return;
  }
  if (console.quiet) return;
  std::vector<std::vector<std::string>> table = {
      {"model", "result", "float", "quantized", "SQNR dB", "top-1 %", "seconds", "peak memory"}};
  for (const BatchRow& row : rows) table.push_back(TableRow(row));
  console.out << report::TextTable(table) << "\n";
  for (const BatchRow& row : rows)
    if (row.result != nullptr && !row.result->message.empty())
      console.out << row.id << ": " << row.result->message << "\n";
  console.out << CountsText(rows) << "; " << StrFormat("%.1f", seconds) << " s\n";
}

void PrintIds(const std::vector<BatchRow>& rows, Console& console) {
  Json json = {{"ids", Json::array()}};
  for (const BatchRow& row : rows) {
    json["ids"].push_back(row.id);
    if (!console.json) console.out << row.id << "\n";
  }
  if (console.json) console.out << json.dump(2) << "\n";
}

void PrintLeft(const std::vector<BatchRow>& rows, const std::vector<std::string>& left,
               Console& console) {
  if (console.json) {
    const Json json = {{"jobs", rows.size()}, {"left", left}};
    console.out << json.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
    return;
  }
  for (const std::string& id : left) console.out << id << "\n";
  console.out << left.size() << " of " << rows.size() << " jobs would be run\n";
}

Status BatchStatus(const std::vector<BatchRow>& rows) {
  ErrorKind worst = ErrorKind::kOk;
  for (const BatchRow& row : rows) {
    const ErrorKind kind = row.result == nullptr ? ErrorKind::kOk : ErrorOf(*row.result);
    if (kind == ErrorKind::kOk) continue;
    if (worst == ErrorKind::kOk || ExitCode(kind) < ExitCode(worst)) worst = kind;
  }
  if (worst == ErrorKind::kOk) return OkStatus();
  const int ok = Counts(rows)["ok"];
  return {worst, StrCat(std::ssize(rows) - ok, " of ", rows.size(),
                        " jobs are not ok: ", CountsText(rows))};
}

}  // namespace roundel::cmd
