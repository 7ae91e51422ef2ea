// The page of a batch: a row for each job, with a link to its page.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "lib/base/text.h"
#include "lib/report/html.h"
#include "lib/report/html_sections.h"

namespace roundel::report::html {
namespace {

constexpr size_t kMostMetrics = 8;

// A column of metrics: that of the evaluation set counts, and without one that of the self-check.
struct MetricColumn {
  std::string title;
  std::vector<std::string> names;  // the first that a job has
};
const std::vector<MetricColumn>& KnownMetrics() {
  static const std::vector<MetricColumn> known = {
      {"SQNR, dB", {"eval_sqnr_db", "check_sqnr_db"}},
      {"Same top-1, %", {"eval_agreement_percent", "check_agreement_percent"}},
      {"Float top-1, %", {"eval_top1_float"}},
      {"Top-1, %", {"eval_top1_quantized"}}};
  return known;
}

// A path as a relative link: every other character is percent-encoded, so that it can name no scheme
// and no host.
std::string Href(const std::string& path) {
  std::string out = "./";
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '/' || c == '.' || c == '-' || c == '_';
    out += plain ? std::string(1, c) : StrFormat("%%%02X", unsigned{static_cast<uint8_t>(c)});
  }
  return out;
}

const char* KindClass(const std::string& kind) {
  return kind == "ok" ? "good" : kind == "gate" || kind == "interrupted" ? "mid" : "bad";
}

// The columns of metrics that some job has; of unknown ones the most frequent.
std::vector<MetricColumn> MetricsOf(const std::vector<const Json*>& jobs) {
  std::map<std::string, size_t> counts;
  for (const Json* job : jobs)
    for (const auto& [name, unused] : Fields(At(*job, "metrics")).items()) ++counts[name];
  std::vector<MetricColumn> columns;
  for (const MetricColumn& known : KnownMetrics()) {
    size_t found = 0;
    for (const std::string& name : known.names) found += counts.erase(name);
    if (found > 0) columns.push_back(known);
  }
  std::vector<std::string> others;
  for (const auto& [name, unused] : counts) others.push_back(name);
  std::stable_sort(others.begin(), others.end(), [&](const std::string& a, const std::string& b) {
    return counts.at(a) > counts.at(b);
  });
  for (const std::string& name : others)
    if (columns.size() < kMostMetrics) columns.push_back({Escape(name, 60), {name}});
  return columns;
}

std::string MetricText(const Json& job, const MetricColumn& column) {
  for (const std::string& name : column.names)
    if (const auto value = Number(At(At(job, "metrics"), name))) return Significant(*value, 4);
  return "";
}

std::string GateCounts(const Json& gates) {
  std::map<std::string, int64_t> counts;
  for (const Json& gate : Items(gates)) ++counts[Text(At(gate, "verdict"))];
  std::vector<std::string> parts;
  for (const auto& [verdict, count] : counts)
    parts.push_back(StrCat(count, " ", Escape(verdict, 20)));
  return Join(parts);
}

std::string MegaBytes(const Json& bytes) {
  const int64_t count = Whole(bytes);
  return count > 0 ? Significant(static_cast<double>(count) / 1e6, 3) : "";
}

// The message of a job that is not ok follows its name, where no column hides it.
std::string JobCell(const Json& job, const std::string& folder) {
  const std::string id = Escape(Text(At(job, "id")), 120);
  const std::string page = PageOfReport(Text(At(job, "report"))),
                    message = Text(At(job, "message"));
  return StrCat(page.empty() ? id : StrCat("<a href=\"", Href(folder + page), "\">", id, "</a>"),
                message.empty() ? "" : StrCat("<small>", Escape(message, 400), "</small>"));
}

std::string JobRow(const Json& job, const std::vector<MetricColumn>& metrics,
                   const std::string& folder) {
  const std::string kind = Text(At(job, "kind"));
  std::vector<std::string> cells = {
      JobCell(job, folder),
      StrCat("<span class=\"", KindClass(kind), "\">", Escape(kind, 20), "</span>"),
      GateCounts(At(job, "gates")), MegaBytes(At(At(job, "sizes"), "model_bytes")),
      MegaBytes(At(At(job, "sizes"), "output_bytes"))};
  for (const MetricColumn& column : metrics) cells.push_back(MetricText(job, column));
  cells.push_back(StrFormat("%.1f", Number(At(job, "seconds")).value_or(0)));
  cells.push_back(MegaBytes(At(job, "peak_memory_bytes")));
  return Row(cells);
}

std::string Tiles(const std::vector<const Json*>& jobs) {
  std::map<std::string, int64_t> kinds;
  double seconds = 0, before = 0, after = 0;
  for (const Json* job : jobs) {
    ++kinds[Text(At(*job, "kind"))];
    seconds += Number(At(*job, "seconds")).value_or(0);
    if (Whole(At(At(*job, "sizes"), "output_bytes")) <= 0) continue;
    before += Number(At(At(*job, "sizes"), "model_bytes")).value_or(0);
    after += Number(At(At(*job, "sizes"), "output_bytes")).value_or(0);
  }
  std::vector<std::string> others;
  for (const auto& [kind, count] : kinds)
    if (kind != "ok") others.push_back(StrCat(count, " ", Escape(kind, 20)));
  std::string tiles = Tile("Jobs ok", StrCat(kinds["ok"], " <small>of ", jobs.size(), "</small>"),
                           others.empty() ? "all of them" : Join(others)) +
                      Tile("Time of all jobs", Seconds(seconds), "");
  if (after > 0)
    tiles += Tile("Models", HumanBytes(static_cast<int64_t>(after)),
                  StrFormat("from %s, %.1f times smaller",
                            HumanBytes(static_cast<int64_t>(before)).c_str(), before / after));
  return "<div class=\"tiles\">\n" + tiles + "</div>\n";
}

}  // namespace

std::string BatchPage(const std::vector<Json>& lines, const std::string& folder) {
  // A job that ran again has several lines: the last one counts.
  std::map<std::string, size_t> last;
  for (size_t i = 0; i < lines.size(); ++i) last[Text(At(lines[i], "id"))] = i;
  std::vector<const Json*> jobs;
  for (size_t i = 0; i < lines.size(); ++i)
    if (last[Text(At(lines[i], "id"))] == i) jobs.push_back(&lines[i]);
  const std::vector<MetricColumn> metrics = MetricsOf(jobs);
  std::vector<Column> columns = {
      {"Job"}, {"Result"}, {"Gates"}, {"Model, MB", true}, {"Output, MB", true}};
  for (const MetricColumn& metric : metrics) columns.push_back({metric.title, true});
  for (const Column& column : {Column{"Seconds", true}, Column{"Memory, MB", true}})
    columns.push_back(column);
  std::vector<std::string> rows;
  for (const Json* job : jobs) rows.push_back(JobRow(*job, metrics, folder));
  return Document("Batch – quantization report",
                  "<p class=\"kicker\">Quantization report</p>\n<h1>Batch</h1>\n", {},
                  Tiles(jobs) + Section("jobs", "Jobs", "A click on a title sorts.",
                                        Table(columns, rows, true)));
}

}  // namespace roundel::report::html
