#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "lib/base/text.h"
#include "lib/report/html_sections.h"

namespace roundel::report::html {
namespace {

std::string WeightTile(const Json& facts) {
  const int64_t before = Whole(At(facts, "weight_bytes_before"));
  const int64_t after = Whole(At(facts, "weight_bytes_after"));
  if (before <= 0 || after <= 0) return "";
  return Tile("Weights", HumanBytes(after),
              StrFormat("from %s, %.1f times smaller", HumanBytes(before).c_str(),
                        static_cast<double>(before) / static_cast<double>(after)));
}

std::string TopOneTile(const Json& facts) {
  const auto before = Number(At(facts, "eval_top1_float"));
  const auto after = Number(At(facts, "eval_top1_quantized"));
  if (!before || !after) return "";
  return Tile("Top-1 accuracy", StrFormat("%.2f %% <small>from %.2f %%</small>", *after, *before),
              StrFormat("%+.2f points on %lld samples", *after - *before,
                        static_cast<long long>(Whole(At(facts, "eval_samples")))));
}

struct Output {
  std::string name;
  double value = 0;
};

// The output with the least value among facts "PREFIX NAME".
std::optional<Output> Worst(const Json& facts, const std::string& prefix) {
  std::optional<Output> worst;
  for (const auto& [name, value] : Fields(facts).items()) {
    if (!name.starts_with(prefix)) continue;
    // The JSON has no number for an output without error.
    const double number = Number(value).value_or(HUGE_VAL);
    if (!worst || number < worst->value) worst = {name.substr(prefix.size()), number};
  }
  return worst;
}

// SQNR and agreement: of the evaluation set if there is one, else of the check on a few samples.
std::string AccuracyTiles(const Json& facts) {
  std::string tiles;
  for (const std::string kind : {"eval", "check"}) {
    const auto sqnr = Worst(facts, kind + "_sqnr_db ");
    if (!sqnr) continue;
    const std::string samples = StrCat(Whole(At(facts, kind + "_samples")), " samples");
    const std::string unit = std::isinf(sqnr->value) ? "" : " <small>dB</small>";
    tiles += Tile("SQNR of the output", Decibels(sqnr->value) + unit,
                  StrCat("at ", Escape(sqnr->name, 60), ", ", samples));
    if (const auto agree = Worst(facts, kind + "_agreement_percent "); agree)
      tiles += Tile("Same top-1 as float", StrFormat("%.1f %%", agree->value),
                    StrCat(kind == "check" ? "calibration, " : "evaluation, ", samples));
    break;
  }
  return tiles;
}

std::string LayerTile(const Json& facts) {
  static constexpr std::pair<const char*, const char*> kKinds[] = {
      {"layers_on_codes", "on integers"},
      {"layers_dynamic", "on integers made at run time"},
      {"layers_packed", "on packed weights"},
      {"layers_dequantized", "in float on dequantized weights"},
      {"layers_float", "in float"}};
  std::string first;
  std::vector<std::string> rest;
  int64_t total = 0;
  for (const auto& [fact, text] : kKinds) {
    const int64_t count = Whole(At(facts, fact));
    if (count <= 0) continue;
    total += count;
    if (first.empty())
      first = StrCat(count, " <small>", text, "</small>");
    else
      rest.push_back(StrCat(count, " ", text));
  }
  if (total == 0) return "";
  return Tile("Layers", first, rest.empty() ? StrCat("all ", total) : Join(rest));
}

std::string TimeTile(const Json& timing) {
  const auto seconds = Number(At(timing, "seconds"));
  if (!seconds) return "";
  const int64_t memory = Whole(At(timing, "peak_rss_bytes"));
  return Tile("Time to quantize", Seconds(*seconds),
              memory > 0 ? "peak memory " + HumanBytes(memory) : "");
}

// A line from the interval's low to its high end, the value on it, and the limit across.
std::string GatePicture(const Json& gate) {
  const auto value = Number(At(gate, "value")), limit = Number(At(gate, "limit"));
  if (!value || !limit) return "";
  const double low = std::min(Number(At(gate, "low")).value_or(*value), *value);
  const double high = std::max(Number(At(gate, "high")).value_or(*value), *value);
  double from = std::min(low, *limit), to = std::max(high, *limit);
  const double margin = to > from ? 0.08 * (to - from) : 1;
  from -= margin;
  to += margin;
  const auto x = [&](double v) { return 160 * (v - from) / (to - from); };
  return StrFormat(
      "<svg viewBox=\"0 0 160 16\" role=\"img\"><path class=\"grid\" d=\"M0 8H160\"/><path "
      "class=\"now\" stroke-width=\"3\" d=\"M%.1f 8H%.1f\"/><circle class=\"dot\" cx=\"%.1f\" "
      "cy=\"8\" r=\"4\"/><path class=\"end\" stroke-width=\"1.5\" d=\"M%.1f 0V16\"/></svg>",
      x(low), x(high), x(*value), x(*limit));
}

const char* VerdictClass(const std::string& verdict) {
  return verdict == "passed" ? "good" : verdict == "failed" ? "bad" : "mid";
}

std::string GateTile(const Json& gates) {
  if (Items(gates).empty()) return "";
  int64_t passed = 0, failed = 0, undecided = 0;
  for (const Json& gate : Items(gates)) {
    const std::string verdict = Text(At(gate, "verdict"));
    ++(verdict == "passed" ? passed : verdict == "failed" ? failed : undecided);
  }
  const char* word = failed > 0 ? "failed" : undecided > 0 ? "undecided" : "passed";
  std::vector<std::string> parts;
  if (passed > 0) parts.push_back(StrCat(passed, " passed"));
  if (failed > 0) parts.push_back(StrCat(failed, " failed"));
  if (undecided > 0) parts.push_back(StrCat(undecided, " cannot be told"));
  return Tile("Gates", StrCat("<span class=\"", VerdictClass(word), "\">", word, "</span>"),
              Join(parts));
}

std::string Gates(const Json& gates) {
  std::vector<std::string> rows;
  for (const Json& gate : Items(gates)) {
    const std::string verdict = Text(At(gate, "verdict"));
    const auto low = Number(At(gate, "low")), high = Number(At(gate, "high"));
    rows.push_back(
        Row({Escape(Text(At(gate, "name"))), Escape(Text(At(gate, "metric"))),
             Escape(Text(At(gate, "value"))), Escape(Text(At(gate, "limit"))),
             low && high ? Significant(*low) + " to " + Significant(*high) : "",
             StrCat("<span class=\"", VerdictClass(verdict), "\">", Escape(verdict), "</span>"),
             GatePicture(gate), Escape(Text(At(gate, "note")))}));
  }
  if (rows.empty()) return "";
  return Section("gates", "Gates",
                 "The dashed line is the limit, the dot what was measured, and the bar its "
                 "confidence interval.",
                 Table({{"Gate"},
                        {"Metric"},
                        {"Value", true},
                        {"Limit", true},
                        {"Interval", true},
                        {"Verdict"},
                        {"Picture"},
                        {"Note"}},
                       rows, false));
}

std::string Warnings(const Json& warnings) {
  constexpr size_t kMost = 50, kLongest = 1500;
  std::string list;
  size_t count = 0;
  for (const Json& warning : Items(warnings))
    if (++count <= kMost) list += "<li>" + Escape(Text(warning), kLongest) + "\n";
  if (count > kMost) list += StrCat("<li>", count - kMost, " more in the report\n");
  return list.empty() ? "" : "<ul class=\"warnings\">\n" + list + "</ul>\n";
}

}  // namespace

std::string Summary(const Json& report) {
  const Json& facts = At(report, "facts");
  const std::string tiles = GateTile(At(report, "gates")) + WeightTile(facts) + TopOneTile(facts) +
                            AccuracyTiles(facts) + LayerTile(facts) +
                            TimeTile(At(report, "timing"));
  return (tiles.empty() ? "" : "<div class=\"tiles\">\n" + tiles + "</div>\n") +
         Warnings(At(report, "warnings")) + Gates(At(report, "gates"));
}

}  // namespace roundel::report::html
