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

// Names of metrics, the most frequent first; of those the first few.
std::vector<std::string> MetricNames(const std::vector<const Json*>& jobs) {
  std::map<std::string, size_t> counts;
  for (const Json* job : jobs)
    for (const auto& [name, unused] : Fields(At(*job, "metrics")).items()) ++counts[name];
  std::vector<std::string> names;
  for (const auto& [name, unused] : counts) names.push_back(name);
  std::stable_sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    return counts.at(a) > counts.at(b);
  });
  names.resize(std::min(names.size(), kMostMetrics));
  return names;
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
  return count > 0 ? StrFormat("%.2f", static_cast<double>(count) / 1e6) : "";
}

std::string JobRow(const Json& job, const std::vector<std::string>& metrics,
                   const std::string& folder) {
  const std::string id = Escape(Text(At(job, "id")), 120), kind = Text(At(job, "kind"));
  const std::string page = PageOfReport(Text(At(job, "report")));
  std::vector<std::string> cells = {
      page.empty() ? id : StrCat("<a href=\"", Href(folder + page), "\">", id, "</a>"),
      StrCat("<span class=\"", KindClass(kind), "\">", Escape(kind, 20), "</span>"),
      GateCounts(At(job, "gates")), MegaBytes(At(At(job, "sizes"), "model_bytes")),
      MegaBytes(At(At(job, "sizes"), "output_bytes"))};
  for (const std::string& name : metrics) {
    const auto value = Number(At(At(job, "metrics"), name));
    cells.push_back(value ? Significant(*value, 4) : "");
  }
  cells.push_back(StrFormat("%.1f", Number(At(job, "seconds")).value_or(0)));
  cells.push_back(MegaBytes(At(job, "peak_memory_bytes")));
  cells.push_back(Escape(Text(At(job, "message")), 400));
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
  std::string tiles = Tile("Jobs done", StrCat(kinds["ok"], " <small>of ", jobs.size(), "</small>"),
                           others.empty() ? "all" : Join(others)) +
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
  const std::vector<std::string> metrics = MetricNames(jobs);
  std::vector<Column> columns = {
      {"Job"}, {"Result"}, {"Gates"}, {"Model, MB", true}, {"Output, MB", true}};
  for (const std::string& name : metrics) columns.push_back({Escape(name, 60), true});
  for (const Column& column :
       {Column{"Seconds", true}, Column{"Memory, MB", true}, Column{"Message"}})
    columns.push_back(column);
  std::vector<std::string> rows;
  for (const Json* job : jobs) rows.push_back(JobRow(*job, metrics, folder));
  return Document("Batch – quantization report",
                  "<p class=\"kicker\">Quantization report</p>\n<h1>Batch</h1>\n", {},
                  Tiles(jobs) + Section("jobs", "Jobs", "A click on a title sorts.",
                                        Table(columns, rows, true)));
}

}  // namespace roundel::report::html
