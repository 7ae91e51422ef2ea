#pragma once
// The report of a run: collected while it runs, written at its end as JSON or a console table.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "lib/report/details.h"
#include "lib/report/gate.h"

namespace roundel::report {

// One action of a pass, or one that it declined, with the reason.
struct Record {
  std::string subject;  // node or value
  std::string action;   // "folded", "declined", "replaced", ...
  std::string reason;   // or detail
  double seconds = 0;   // duration, if relevant
};

// The outcome of rounding the weights of one layer. Errors are those of the layer's output,
// relative to its power, on the solver's samples unless they are held out.
struct LayerOutcome {
  std::string node;
  double error_before = 0, error_after = 0;  // rounded to nearest; solved
  std::optional<double> held_out_before, held_out_after;
  std::optional<double> bound;  // lower bound of the error of all codes
  int64_t columns = 0, inputs = 0;
  bool on_columns = false;  // solved in the space of its few columns
  std::string shared_with;  // the layer that was solved for both; other fields are unset
  std::string note;         // of the method
  double seconds = 0;

  bool underdetermined() const { return shared_with.empty() && columns < inputs; }
  // Console text: "error 0.01 -> 0.004, bound 0.002, 640 columns of 64".
  std::string Text() const;
};

using MetricValue = std::variant<double, int64_t, bool, std::string>;

struct PassReport {
  std::string name;
  std::string outcome;  // "changed", "unchanged"
  double seconds = 0;
  int64_t peak_rss_bytes = 0;
  int64_t resumed = 0;  // layers with solutions from an earlier run
  std::vector<Record> records;
  std::vector<LayerOutcome> layers;
  std::vector<RangeFacts> ranges;                            // of the pass that assigns grids
  std::vector<ChannelRanges> channel_ranges;                 // of the pass that scales channels
  std::vector<std::pair<std::string, MetricValue>> metrics;  // in the order they were added
  std::vector<std::string> warnings;

  void Add(std::string subject, std::string action, std::string reason = "", double time = 0) {
    records.push_back({std::move(subject), std::move(action), std::move(reason), time});
  }
  void Metric(std::string name_, MetricValue value) {
    metrics.emplace_back(std::move(name_), std::move(value));
  }
  // Largest magnitudes of all channels of a layer; nothing if they are the same.
  void AddRanges(std::string node, const std::vector<double>& before,
                 const std::vector<double>& after) {
    if (before == after) return;
    channel_ranges.push_back({std::move(node), static_cast<int64_t>(before.size()),
                              FiveNumbers(before), FiveNumbers(after)});
  }
};

struct Report {
  std::vector<std::pair<std::string, MetricValue>> facts;  // tool version, hashes, seed, sizes
  std::vector<PassReport> passes;
  std::vector<Gate> gates;
  std::vector<Record> float_nodes;  // nodes that stay float: name, op type, why
  std::vector<LayerFacts> layers;
  std::vector<ValueError> network;  // errors along the model, in execution order
  int64_t network_samples = 0;      // that they were measured on
  std::string recipe;               // with all settings, without paths
  std::vector<std::string> warnings;
  std::vector<std::pair<std::string, MetricValue>>
      timing;  // seconds, bytes of memory: differ per run

  void Fact(std::string name, MetricValue value) {
    facts.emplace_back(std::move(name), std::move(value));
  }
};

// A rectangular table for the console: first row is the header; numbers right-aligned.
std::string TextTable(const std::vector<std::vector<std::string>>& rows);
// One object by schemas/report-1.json, keys in a fixed order: schema, facts, gates, passes, float_nodes, warnings, timing. Everything that
// differs between two runs of the same recipe is under "timing". Non-finite numbers become null.
std::string ReportJson(const Report& report);
int64_t PeakRssBytes();  // of this process so far

}  // namespace roundel::report
