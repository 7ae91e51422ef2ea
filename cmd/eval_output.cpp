#include "cmd/eval_output.h"

#include "lib/base/text.h"
#include "lib/eval/gates.h"
#include "lib/report/gate_json.h"
#include "lib/report/report.h"

namespace roundel::cmd {
namespace {

using Json = nlohmann::ordered_json;
using eval::Interval;

void AddInterval(const std::optional<Interval>& interval, const char* low, const char* high,
                 Json* json) {
  if (!interval) return;
  (*json)[low] = interval->low;
  (*json)[high] = interval->high;
}

std::string IntervalText(const char* format, const std::optional<Interval>& interval) {
  return interval ? StrCat(" (95 % interval ", StrFormat(format, interval->low), " to ",
                           StrFormat(format, interval->high), ")")
                  : "";
}

Json ModelJson(const std::string& path, const eval::Evaluation& result,
               const quant::TopCounts& counts) {
  Json json = {{"model", path}};
  if (!result.class_output.empty()) {
    json["top1_percent"] = counts.Top1Percent();
    json["top5_percent"] = counts.Top5Percent();
  }
  return json;
}

Json DropJson(const eval::Evaluation& result) {
  const eval::PairedHits& pairs = result.pairs;
  Json json = {{"points", result.first.Top1Percent() - result.second.Top1Percent()}};
  AddInterval(eval::DropInterval(pairs), "low", "high", &json);
  json["lost"] = pairs.lost;
  json["won"] = pairs.won;
  json["mcnemar_p"] = eval::McNemarP(pairs.lost, pairs.won);
  return json;
}

void AddLanguage(const Measured& measured, Json* json) {
  const eval::TokenSums& sums = measured.result.language;
  if (sums.tokens == 0) return;
  (*json)["tokens"] = sums.tokens;
  (*json)["models"][0]["perplexity"] = sums.Perplexity();
  if (measured.second.empty()) return;
  (*json)["models"][1]["perplexity"] = sums.SecondPerplexity();
  (*json)["perplexity_rise_percent"] = sums.RisePercent();
  AddInterval(eval::PerplexityRiseInterval(sums, measured.seed), "perplexity_rise_low_percent",
              "perplexity_rise_high_percent", json);
  (*json)["kl_nats"] = sums.MeanKl();
  AddInterval(eval::KlInterval(sums, measured.seed), "kl_low_nats", "kl_high_nats", json);
}

Json OutputJson(const eval::OutputResult& output, uint64_t seed) {
  Json json = {{"name", output.name}, {"sqnr_db", output.error.Sqnr()}};
  AddInterval(eval::SqnrInterval(output, seed), "sqnr_low_db", "sqnr_high_db", &json);
  json["cosine"] = output.error.Cosine();
  json["max_error"] = output.error.MaxError();
  json["not_finite"] = output.error.not_finite();
  json["differing_shapes"] = output.differing_shapes;
  if (output.rows > 0) json["top1_agreement_percent"] = output.AgreePercent();
  return json;
}

void PrintTopOne(const Measured& measured, std::ostream& out) {
  const eval::Evaluation& result = measured.result;
  if (result.class_output.empty()) return;
  std::vector<std::vector<std::string>> rows = {{"model", "top-1 %", "top-5 %"}};
  const auto add = [&rows](const std::string& name, const quant::TopCounts& counts) {
    rows.push_back(
        {name, StrFormat("%.2f", counts.Top1Percent()), StrFormat("%.2f", counts.Top5Percent())});
  };
  add(measured.first, result.first);
  if (!measured.second.empty()) add(measured.second, result.second);
  out << "\n" << report::TextTable(rows);
  if (result.pairs.rows == 0) return;
  out << StrFormat("top-1 drops by %.2f points",
                   result.first.Top1Percent() - result.second.Top1Percent())
      << IntervalText("%.2f", eval::DropInterval(result.pairs)) << ": " << result.pairs.lost
      << " samples are right with the first model only, " << result.pairs.won
      << StrFormat(" with the second only (McNemar p = %.2g)\n",
                   eval::McNemarP(result.pairs.lost, result.pairs.won));
}

void PrintLanguage(const Measured& measured, std::ostream& out) {
  const eval::TokenSums& sums = measured.result.language;
  if (sums.tokens == 0) return;
  std::vector<std::vector<std::string>> rows = {{"model", "perplexity", "KL (nats)"}};
  rows.push_back({measured.first, StrFormat("%.4f", sums.Perplexity()), "-"});
  if (!measured.second.empty())
    rows.push_back({measured.second, StrFormat("%.4f", sums.SecondPerplexity()),
                    StrFormat("%.5f", sums.MeanKl())});
  out << "\n" << sums.tokens << " predicted tokens\n" << report::TextTable(rows);
  if (measured.second.empty()) return;
  out << StrFormat("perplexity rises by %.3f %%", sums.RisePercent())
      << IntervalText("%.3f", eval::PerplexityRiseInterval(sums, measured.seed)) << "\n";
}

void PrintCommand(const Measured& measured, std::ostream& out) {
  if (!measured.command.first) return;
  std::vector<std::vector<std::string>> rows = {{"model", "metric of the command"}};
  rows.push_back({measured.first, StrFormat("%.6g", *measured.command.first)});
  if (measured.command.second)
    rows.push_back({measured.second, StrFormat("%.6g", *measured.command.second)});
  out << "\n" << report::TextTable(rows);
}

void PrintOutputs(const Measured& measured, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {
      {"output", "SQNR dB", "95 % interval", "cosine", "max error", "top-1 agreement %"}};
  for (const eval::OutputResult& output : measured.result.outputs) {
    const auto interval = eval::SqnrInterval(output, measured.seed);
    rows.push_back({Printable(output.name), StrFormat("%.2f", output.error.Sqnr()),
                    interval ? StrFormat("%.2f to %.2f", interval->low, interval->high) : "-",
                    StrFormat("%.6f", output.error.Cosine()), StrCat(output.error.MaxError()),
                    output.rows == 0 ? "-" : StrFormat("%.2f", output.AgreePercent())});
  }
  out << "\n" << report::TextTable(rows);
  for (const eval::OutputResult& output : measured.result.outputs) {
    if (output.differing_shapes > 0)
      out << Printable(output.name) << ": the shapes differ in " << output.differing_shapes
          << " batches, which are left out\n";
    if (output.error.not_finite() > 0)
      out << Printable(output.name) << ": " << output.error.not_finite()
          << " values are NaN or infinite and left out\n";
  }
}

}  // namespace

Json EvalJson(const Measured& measured) {
  const eval::Evaluation& result = measured.result;
  Json json = {{"schema", "roundel.eval/1"}};
  if (result.samples > 0) {
    json["data"] = measured.facts.description;
    json["data_hash"] = measured.facts.hash;
    json["samples"] = result.samples;
    json["skipped"] = result.skipped;
  }
  json["models"] = Json::array({ModelJson(measured.first, result, result.first)});
  if (!measured.second.empty())
    json["models"].push_back(ModelJson(measured.second, result, result.second));
  if (measured.command.first) json["models"][0]["command_metric"] = *measured.command.first;
  if (measured.command.second) json["models"][1]["command_metric"] = *measured.command.second;
  if (result.pairs.rows > 0) json["top1_drop"] = DropJson(result);
  AddLanguage(measured, &json);
  if (!result.outputs.empty()) {
    json["outputs"] = Json::array();
    for (const eval::OutputResult& output : result.outputs)
      json["outputs"].push_back(OutputJson(output, measured.seed));
  }
  json["gates"] = report::GatesJson(measured.gates);
  return json;
}

void PrintEval(const Measured& measured, std::ostream& out) {
  if (measured.result.samples > 0) {
    out << measured.result.samples << " samples";
    if (measured.result.skipped > 0) out << ", " << measured.result.skipped << " skipped";
    if (!measured.facts.feeding.empty()) out << ", " << Printable(measured.facts.feeding);
    out << "\n";
  }
  PrintTopOne(measured, out);
  PrintLanguage(measured, out);
  PrintCommand(measured, out);
  if (!measured.result.outputs.empty()) PrintOutputs(measured, out);
  if (!measured.gates.empty()) out << "\n" << report::TextTable(report::GateTable(measured.gates));
}

}  // namespace roundel::cmd
