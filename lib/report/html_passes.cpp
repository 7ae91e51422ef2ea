#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "lib/base/text.h"
#include "lib/report/html_sections.h"

namespace roundel::report::html {
namespace {

constexpr size_t kMostRecords = 120;  // of a pass; the report has all

std::string Metrics(const Json& metrics) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : Fields(metrics).items()) {
    std::string words = name;
    std::replace(words.begin(), words.end(), '_', ' ');
    parts.push_back(Escape(words, 60) + " " + Escape(Text(value), 60));
  }
  return Join(parts, ", ", 16);
}

std::string Records(const Json& records) {
  std::vector<std::string> rows;
  for (const Json& record : Items(records)) {
    if (rows.size() == kMostRecords) break;
    rows.push_back(Row({Escape(Text(At(record, "subject"))), Escape(Text(At(record, "action")), 60),
                        Escape(Text(At(record, "reason")))}));
  }
  if (rows.empty()) return "";
  const size_t rest = Items(records).size() - rows.size();
  return Table({{"Where"}, {"What"}, {"Why, or detail"}}, rows, false) +
         (rest > 0 ? StrCat("<p class=\"note\">", rest, " more in the report</p>\n") : "");
}

// "52 folded, 1 declined".
std::string Counts(const Json& pass) {
  std::map<std::string, int64_t> counts;
  for (const Json& record : Items(At(pass, "records"))) ++counts[Text(At(record, "action"))];
  if (const size_t solved = Items(At(pass, "layers")).size(); solved > 0)
    counts["solved"] += static_cast<int64_t>(solved);
  std::vector<std::string> parts;
  for (const auto& [action, count] : counts)
    parts.push_back(StrCat(count, " ", Escape(action, 60)));
  return Join(parts, ", ", 8);
}

}  // namespace

std::string Passes(const Json& report) {
  std::string contents;
  const Json& times = Items(At(At(report, "timing"), "passes"));
  size_t index = 0;
  for (const Json& pass : Items(At(report, "passes"))) {
    const Json none;
    const Json& time = index < times.size() ? times[index] : none;
    ++index;
    std::vector<std::string> notes;
    if (const std::string counts = Counts(pass); !counts.empty()) notes.push_back(counts);
    if (Text(At(pass, "outcome")) == "unchanged") notes.emplace_back("nothing changed");
    if (const auto seconds = Number(At(time, "seconds")); seconds)
      notes.push_back(Seconds(*seconds));
    if (const int64_t memory = Whole(At(time, "peak_rss_bytes")); memory > 0)
      notes.push_back("peak memory " + HumanBytes(memory));
    const std::string metrics = Metrics(At(pass, "metrics"));
    contents += Folded(StrCat(index, ". <b>", Escape(Text(At(pass, "name")), 60), "</b><small>",
                              Join(notes), "</small>"),
                       (metrics.empty() ? "" : "<p class=\"note\">" + metrics + "</p>\n") +
                           Records(At(pass, "records")));
  }
  return Section("passes", "What the passes did", "In the order of the recipe.", contents);
}

std::string FloatNodes(const Json& report) {
  constexpr size_t kMostNames = 100, kMostGroups = 60;
  struct Group {
    std::string op_type, reason;
    std::vector<std::string> nodes;
  };
  std::vector<Group> groups;  // in the order of the report
  std::map<std::pair<std::string, std::string>, size_t> known;
  for (const Json& node : Items(At(report, "float_nodes"))) {
    const std::string op_type = Text(At(node, "op_type")), reason = Text(At(node, "reason"));
    const auto [at, added] = known.try_emplace({op_type, reason}, groups.size());
    if (added) groups.push_back({op_type, reason, {}});
    groups[at->second].nodes.push_back(Text(At(node, "node")));
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const Group& a, const Group& b) { return a.nodes.size() > b.nodes.size(); });
  std::string contents;
  size_t shown = 0;
  for (const Group& group : groups) {
    if (++shown > kMostGroups) break;
    std::string names;
    for (size_t i = 0; i < group.nodes.size() && i < kMostNames; ++i)
      names += Escape(group.nodes[i]) + "\n";
    if (group.nodes.size() > kMostNames)
      names += StrCat("... ", group.nodes.size() - kMostNames, " more in the report\n");
    contents += Folded(StrCat("<b>", group.nodes.size(), " ", Escape(group.op_type, 60),
                              "</b><small>", Escape(group.reason, 600), "</small>"),
                       "<pre>" + names + "</pre>\n");
  }
  if (groups.size() > kMostGroups)
    contents += StrCat("<p class=\"note\">", groups.size() - kMostGroups,
                       " more kinds in the report</p>\n");
  if (contents.empty() && At(report, "float_nodes").is_array())
    contents = "<p>No node: all that computes on floats in the model is quantized.</p>\n";
  return Section("float", "What stayed float, and why", "", contents);
}

}  // namespace roundel::report::html
