// The table of layers, and cards for the worst of them.

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/text.h"
#include "lib/report/html_chart.h"
#include "lib/report/html_sections.h"

namespace roundel::report::html {
namespace {

// What other parts of the report say of layers and values, by name.
struct Lookup {
  std::map<std::string, const Json*> outcomes, errors, ranges;
  std::map<std::string, double> seconds;
};

Lookup LookupOf(const Json& report) {
  Lookup lookup;
  for (const Json& pass : Items(At(report, "passes"))) {
    for (const Json& layer : Items(At(pass, "layers")))
      lookup.outcomes[Text(At(layer, "node"))] = &layer;
    for (const Json& range : Items(At(pass, "ranges")))
      for (const Json& value : Items(At(range, "values"))) lookup.ranges[Text(value)] = &range;
  }
  for (const Json& value : Items(At(At(report, "network"), "values")))
    lookup.errors[Text(At(value, "value"))] = &value;
  for (const Json& pass : Items(At(At(report, "timing"), "passes")))
    for (const auto& [node, seconds] : Fields(At(pass, "nodes")).items())
      lookup.seconds[node] += Number(seconds).value_or(0);
  return lookup;
}

const Json& Find(const std::map<std::string, const Json*>& items, const std::string& name) {
  static const Json null;
  const auto found = items.find(name);
  return found == items.end() ? null : *found->second;
}

std::string Optional(const Json& value, std::string (*print)(double)) {
  const auto number = Number(value);
  return number ? print(*number) : "";
}

std::string Relative(double value) { return Significant(value); }

// The cells of a layer, in the order of kColumns.
std::vector<std::string> Cells(const Json& layer, size_t index, const Lookup& lookup) {
  const std::string node = Text(At(layer, "node"));
  const Json& outcome = Find(lookup.outcomes, node);
  const std::string input = Text(At(layer, "input"));
  const Json& range = Find(lookup.ranges, input);
  const auto seconds = lookup.seconds.find(node);
  const std::string granularity = Text(At(layer, "granularity"));
  const int64_t scales = Whole(At(layer, "scales"));
  const std::string shared = Text(At(outcome, "shared_with"));
  return {StrCat(index),
          Escape(Text(At(layer, "name"))),
          Escape(Text(At(layer, "op_type")), 40),
          At(layer, "grid").is_string() ? StrCat(Whole(At(layer, "bits"))) : Keyed(32, "float"),
          Escape(Text(At(layer, "grid")), 60),
          scales > 0 ? Keyed(static_cast<double>(scales),
                             StrCat(scales, " (", Escape(granularity, 20), ")"))
                     : "",
          Escape(Text(At(layer, "input_grid")), 60),
          StrFormat("%.1f", static_cast<double>(Whole(At(layer, "bytes"))) / 1000),
          Optional(At(range, "sqnr_db"), Decibels),
          Optional(At(layer, "weight_sqnr_db"), Decibels),
          Optional(At(Find(lookup.errors, Text(At(layer, "output"))), "sqnr_db"), Decibels),
          Optional(At(outcome, "error_before"), Relative),
          shared.empty() ? Optional(At(outcome, "error_after"), Relative) : "shared",
          Optional(At(outcome, "bound"), Relative),
          seconds == lookup.seconds.end() ? "" : StrFormat("%.2f", seconds->second)};
}

const std::vector<Column> kColumns = {{"#", true},
                                      {"Layer"},
                                      {"Op"},
                                      {"Bits", true},
                                      {"Weights"},
                                      {"Scales", true},
                                      {"Input"},
                                      {"kB", true},
                                      {"Input, dB", true},
                                      {"Weights, dB", true},
                                      {"Output, dB", true},
                                      {"Error before", true},
                                      {"Error after", true},
                                      {"Bound", true},
                                      {"Seconds", true}};

// The noise of a layer's input and weights, relative to the signal.
double Noise(const Json& layer, const Lookup& lookup) {
  double noise = 0;
  for (const auto& sqnr : {Number(At(Find(lookup.ranges, Text(At(layer, "input"))), "sqnr_db")),
                           Number(At(layer, "weight_sqnr_db"))})
    if (sqnr) noise += std::pow(10.0, -*sqnr / 10);
  return noise;
}

// Bars of the shares on a logarithmic scale; those outside of the grid in another colour.
std::string Histogram(const Json& range) {
  constexpr double kWidth = 320, kTop = 18, kBottom = 104, kDecades = 7;
  const Json& shares = Items(At(range, "histogram"));
  const double low = Number(At(range, "low")).value_or(0),
               high = Number(At(range, "high")).value_or(0);
  const double seen_low = Number(At(range, "seen_low")).value_or(0);
  const double seen_high = Number(At(range, "seen_high")).value_or(0);
  const double from = std::min(low, seen_low), to = std::max(high, seen_high);
  if (!(to > from) || shares.empty() || shares.size() > 512) return "";
  const auto x = [&](double value) { return 2 + (kWidth - 4) * (value - from) / (to - from); };
  std::string bars[2];  // inside and outside
  const double width = (seen_high - seen_low) / static_cast<double>(shares.size());
  for (size_t i = 0; i < shares.size(); ++i) {
    const double share = Number(shares[i]).value_or(0);
    const double height = (std::log10(std::max(share, 1e-12)) + kDecades) / kDecades;
    if (!(height > 0)) continue;
    const double begin = seen_low + width * static_cast<double>(i);
    const double middle = begin + width / 2;
    bars[middle < low || middle > high] += StrFormat(
        "M%.1f %.0fV%.1fH%.1fV%.0f", x(begin), kBottom,
        kBottom - (kBottom - kTop) * std::min(height, 1.0), x(begin + width) - 0.6, kBottom);
  }
  std::string out = StrFormat(
      "<svg viewBox=\"0 0 %.0f 120\" role=\"img\" aria-label=\"Histogram\"><path class=\"bar\" "
      "d=\"%s\"/><path class=\"cut\" d=\"%s\"/><path class=\"grid\" d=\"M0 %.0fH%.0f\"/>",
      kWidth, bars[0].c_str(), bars[1].c_str(), kBottom, kWidth);
  for (const double end : {low, high})
    out += StrFormat("<path class=\"end\" d=\"M%.1f 14V%.0f\"/>", x(end), kBottom);
  const auto edge = [&](double value) {
    return x(value) > kWidth * 0.75 ? "end" : x(value) < kWidth * 0.25 ? "start" : "middle";
  };
  const bool apart = x(high) - x(low) > 90;
  out += apart ? Label(x(low), 10, edge(low), Significant(low)) +
                     Label(x(high), 10, edge(high), Significant(high))
               : Label(x((low + high) / 2), 10, edge((low + high) / 2),
                       Significant(low) + " to " + Significant(high));
  return out + Label(2, 117, "start", Significant(seen_low)) +
         Label(kWidth - 2, 117, "end", Significant(seen_high)) + "</svg>\n";
}

std::string Clipped(const Json& range) {
  const double low = Number(At(range, "clipped_low")).value_or(0);
  const double high = Number(At(range, "clipped_high")).value_or(0);
  if (low <= 0 && high <= 0) return "nothing is clipped";
  std::vector<std::string> parts;
  if (low > 0) parts.push_back(Percent(low) + " below");
  if (high > 0) parts.push_back(Percent(high) + " above");
  return "clipped: " + Join(parts);
}

// A histogram that is not of all data says so.
std::string OfSamples(const Json& range) {
  const auto samples = Number(At(range, "histogram_samples"));
  return samples ? StrFormat("; on %.0f samples", *samples) : "";
}

std::string Card(const Json& layer, const Json& range, size_t others) {
  const std::string weights = Optional(At(layer, "weight_sqnr_db"), Decibels);
  return StrCat("<div class=\"card\"><h3>", Escape(Text(At(layer, "name")), 120), "</h3>\n<p>",
                Escape(Text(At(layer, "op_type")), 40), ", input ",
                Optional(At(range, "sqnr_db"), Decibels), " dB, weights ",
                weights.empty() ? "exact" : weights + " dB", "</p>\n", Histogram(range), "<p>",
                Escape(Text(At(range, "grid")), 40), " by ", Escape(Text(At(range, "method")), 40),
                "; ", Clipped(range), OfSamples(range),
                others > 0 ? StrCat("; ", others, " more layers read it") : "", "</p></div>\n");
}

}  // namespace

std::string WorstLayers(const Json& report) {
  constexpr size_t kCards = 10;
  const Lookup lookup = LookupOf(report);
  std::vector<std::pair<double, const Json*>> layers;
  std::map<std::string, size_t> readers;
  for (const Json& layer : Items(At(report, "layers"))) {
    const std::string input = Text(At(layer, "input"));
    if (Items(At(Find(lookup.ranges, input), "histogram")).empty()) continue;
    layers.emplace_back(-Noise(layer, lookup), &layer);
    ++readers[input];
  }
  std::stable_sort(layers.begin(), layers.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string cards;
  size_t shown = 0;
  for (const auto& [noise, layer] : layers) {
    const std::string input = Text(At(*layer, "input"));
    size_t& others = readers[input];
    if (others == 0 || shown == kCards) continue;  // shown for the worst of its readers
    cards += Card(*layer, Find(lookup.ranges, input), others - 1);
    others = 0;
    ++shown;
  }
  if (cards.empty()) return "";
  return Section(
      "worst", "The worst layers",
      "By the noise of rounding and clipping the input, and of rounding the weights. The "
      "histogram of the input is logarithmic; dashed lines are the ends of the grid, and "
      "what lies outside is clipped.",
      "<div class=\"cards\">\n" + cards + "</div>\n");
}

std::string Layers(const Json& report) {
  const Lookup lookup = LookupOf(report);
  std::vector<std::vector<std::string>> table;
  for (const Json& layer : Items(At(report, "layers")))
    table.push_back(Cells(layer, table.size() + 1, lookup));
  if (table.empty()) return "";
  std::vector<Column> columns;
  std::vector<std::string> rows(table.size());
  std::vector<std::vector<std::string>> shown(table.size());
  for (size_t c = 0; c < kColumns.size(); ++c) {
    if (std::all_of(table.begin(), table.end(), [c](auto& row) { return row[c].empty(); }))
      continue;
    columns.push_back(kColumns[c]);
    for (size_t r = 0; r < table.size(); ++r) shown[r].push_back(std::move(table[r][c]));
  }
  for (size_t r = 0; r < rows.size(); ++r) rows[r] = Row(shown[r]);
  return Section("layers", "Layers",
                 "dB is SQNR: of the input and of the weights each by its own rounding, of the "
                 "output with all "
                 "errors before it. Errors before and after solving are relative to the power of "
                 "the output. A "
                 "click on a title sorts.",
                 Table(columns, rows, true));
}

}  // namespace roundel::report::html
