#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>

#include "cmd/job.h"
#include "lib/base/text.h"

namespace roundel::cmd {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kFloatLines = 8;      // number of reasons to show; the report has them all
constexpr size_t kCheckedOutputs = 3;  // number to show, likewise

const report::MetricValue* Find(
    const std::vector<std::pair<std::string, report::MetricValue>>& values,
    const std::string& name) {
  for (const auto& [key, value] : values)
    if (key == name) return &value;
  return nullptr;
}

std::string Text(const report::Report& report, const std::string& fact) {
  const report::MetricValue* value = Find(report.facts, fact);
  return value == nullptr ? "" : std::visit([](const auto& v) { return StrCat(v); }, *value);
}

int64_t Whole(const report::Report& report, const std::string& fact) {
  const report::MetricValue* value = Find(report.facts, fact);
  const auto* number = value == nullptr ? nullptr : std::get_if<int64_t>(value);
  return number == nullptr ? 0 : *number;
}

// "20 folded, 1 declined".
std::string RecordCounts(const report::PassReport& pass) {
  std::map<std::string, int64_t> counts;
  for (const report::Record& record : pass.records) ++counts[record.action];
  if (!pass.layers.empty()) counts["solved"] += std::ssize(pass.layers);
  std::vector<std::string> parts;
  for (const auto& [action, count] : counts) parts.push_back(StrCat(count, " ", action));
  return Join(parts);
}

std::string PassTable(const report::Report& report) {
  std::vector<std::vector<std::string>> rows = {
      {"pass", "outcome", "seconds", "peak memory", "records"}};
  for (const report::PassReport& pass : report.passes)
    rows.push_back({pass.name, pass.outcome, StrFormat("%.2f", pass.seconds),
                    HumanBytes(pass.peak_rss_bytes), RecordCounts(pass)});
  return report::TextTable(rows);
}

std::string EvalLines(const report::Report& report) {
  std::string lines;
  if (Find(report.facts, "eval_top1_float") != nullptr)
    lines += StrCat("top-1      ", Text(report, "eval_top1_float"), " % float, ",
                    Text(report, "eval_top1_quantized"), " % quantized, on ",
                    Whole(report, "eval_samples"), " samples\n");
  if (Find(report.facts, "command_metric_float") != nullptr)
    lines += StrCat("metric     ", Text(report, "command_metric_float"), " float, ",
                    Text(report, "command_metric_quantized"), " quantized, by the command\n");
  for (const auto& [name, value] : report.facts)
    if (name.starts_with("eval_sqnr_db "))
      lines += StrCat("SQNR       ", std::visit([](const auto& v) { return StrCat(v); }, value),
                      " dB at output ", Printable(name.substr(13)), "\n");
  return lines;
}

// "check      y 33.1 dB, top-1 agrees 100 %; on 8 samples", worst outputs first.
std::string CheckLine(const report::Report& report) {
  if (Find(report.facts, "check_left_out") != nullptr)
    return StrCat("check      left out: ", Text(report, "check_left_out"), "\n");
  if (Find(report.facts, "check_samples") == nullptr) return "";
  constexpr std::string_view kSqnr = "check_sqnr_db ";
  std::vector<std::pair<double, std::string>> outputs;
  for (const auto& [name, value] : report.facts) {
    if (!name.starts_with(kSqnr)) continue;
    const std::string output = name.substr(kSqnr.size());
    const double sqnr = std::get<double>(value);
    std::string text = StrCat(
        Printable(output), std::isinf(sqnr) && sqnr > 0 ? " exact" : StrFormat(" %.1f dB", sqnr));
    if (const auto* agree = Find(report.facts, "check_agreement_percent " + output))
      text += StrFormat(", top-1 agrees %.0f %%", std::get<double>(*agree));
    outputs.emplace_back(sqnr, std::move(text));
  }
  std::stable_sort(outputs.begin(), outputs.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> texts;
  for (const auto& [unused, text] : outputs) texts.push_back(text);
  return StrCat("check      ", Join(texts, "; ", kCheckedOutputs), "; on ",
                Whole(report, "check_samples"), " samples\n");
}

// Speed depends more on the operators that run than on the size: docs/benchmarks.md has measured
// times.
std::string SpeedLine(const report::Report& report) {
  std::vector<std::string> parts;
  const auto add = [&](const char* fact, const char* text) {
    if (const int64_t count = Whole(report, fact); count > 0) parts.push_back(StrCat(count, text));
  };
  add("layers_on_codes", " on integers (faster)");
  add("layers_dynamic", " on integers, quantized at run time (slower for convolutions)");
  add("layers_packed", " on packed weights (as fast as float or faster)");
  add("layers_dequantized", " in float on weights dequantized in every run (slower)");
  add("layers_float", " in float");
  add("layers_rounded_inputs",
      " of them on inputs that ONNX Runtime rounds to 8 bits in blocks, as the check does (its "
      "option "
      "session.qdq_matmulnbits_accuracy_level=1 prevents it)");
  return parts.empty() ? "" : StrCat("layers     ", Join(parts), "\n");
}

}  // namespace

std::string CountText(int64_t activations, int64_t weights, int64_t biases) {
  const auto plural = [](int64_t n, const char* one, const char* many) {
    return StrCat(n, " ", n == 1 ? one : many);
  };
  return Join(std::vector<std::string>{plural(activations, "activation", "activations"),
                                       plural(weights, "weight", "weights"),
                                       plural(biases, "bias", "biases")});
}

std::vector<std::string> FloatNodeLines(const std::vector<report::Record>& nodes) {
  std::map<std::pair<std::string, std::string>, int64_t> counts;
  for (const report::Record& node : nodes) ++counts[{node.action, node.reason}];
  std::vector<std::pair<int64_t, std::string>> sorted;
  for (const auto& [key, count] : counts)
    sorted.emplace_back(-count,
                        StrCat(count, " ", Printable(key.first), ": ", Printable(key.second, 300)));
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::string> lines;
  for (const auto& [unused, line] : sorted) lines.push_back(line);
  return lines;
}

void PrintJobSummary(const report::Report& report, const std::vector<WrittenFile>& files,
                     Console& console) {
  if (console.json) {
    Json json = Json::parse(report::ReportJson(report));
    json["files"] = Json::array();
    for (const WrittenFile& file : files)
      json["files"].push_back({{"path", file.path}, {"bytes", file.bytes}});
    console.out << json.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
    return;
  }
  if (console.quiet) return;
  std::ostream& out = console.out;
  out << PassTable(report) << "\n";
  out << "quantized  "
      << CountText(Whole(report, "quantized_activations"), Whole(report, "quantized_weights"),
                   Whole(report, "quantized_biases"))
      << "\n";
  out << "float      "
      << (report.float_nodes.empty() ? "no node" : StrCat(report.float_nodes.size(), " nodes"))
      << "\n";
  const std::vector<std::string> lines = FloatNodeLines(report.float_nodes);
  for (size_t i = 0; i < lines.size() && i < kFloatLines; ++i)
    out << "             " << lines[i] << "\n";
  if (lines.size() > kFloatLines)
    out << "             ... (" << lines.size() - kFloatLines << " more reasons in the report)\n";
  const int64_t before = Whole(report, "weight_bytes_before");
  const int64_t after = Whole(report, "weight_bytes_after");
  out << "weights    " << HumanBytes(before) << " -> " << HumanBytes(after) << "\n";
  out << SpeedLine(report);
  if (Find(report.facts, "float_types") != nullptr)
    out << "types      " << Text(report, "float_types")
        << ": computed in float32 here, written in these types\n";
  if (Find(report.facts, "data") != nullptr)
    out << "data       " << Text(report, "data") << "; " << Whole(report, "samples_skipped")
        << " skipped\n";
  out << CheckLine(report) << EvalLines(report);
  for (const report::Gate& gate : report.gates)
    out << "gate       " << Printable(gate.name, 200) << " " << report::VerdictText(gate) << ": "
        << Printable(gate.message, 300) << "\n";
  const auto* seconds = Find(report.timing, "seconds");
  const auto* memory = Find(report.timing, "peak_rss_bytes");
  if (seconds != nullptr && memory != nullptr)
    out << StrFormat("time       %.1f s, peak memory ", std::get<double>(*seconds))
        << HumanBytes(std::get<int64_t>(*memory)) << "\n";
  for (size_t i = 0; i < files.size(); ++i)
    out << (i == 0 ? "wrote      " : "           ") << files[i].path << " ("
        << HumanBytes(files[i].bytes) << ")\n";
}

}  // namespace roundel::cmd
