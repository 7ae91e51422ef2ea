#include "lib/report/cases.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "lib/base/text.h"

namespace roundel::report {
namespace {

// Text of an element or attribute. Characters that XML cannot hold are written as numbers, line by
// line; attributes would turn line ends into spaces.
std::string Xml(const std::string& text) {
  std::string out;
  for (const std::string& line : Split(text, '\n')) {
    if (!out.empty()) out += "&#10;";
    const std::string printable = Printable(line, std::string::npos);
    for (size_t i = 0; i < printable.size(); ++i) {
      const std::string_view three = std::string_view(printable).substr(i, 3);
      const char c = printable[i];
      if (three == "\xef\xbf\xbe" || three == "\xef\xbf\xbf") {  // U+FFFE and U+FFFF
        out += "\xef\xbf\xbd";
        i += 2;
      } else {
        out += c == '&'   ? "&amp;"
               : c == '<' ? "&lt;"
               : c == '>' ? "&gt;"
               : c == '"' ? "&quot;"
                          : std::string(1, c);
      }
    }
  }
  return out;
}

struct Counts {
  int64_t all = 0, failed = 0, errors = 0, skipped = 0;
  double seconds = 0;

  void Add(const Case& c) {
    ++all;
    failed += c.state == Case::State::kFailed;
    errors += c.state == Case::State::kError;
    skipped += c.state == Case::State::kSkipped;
    seconds += c.seconds;
  }
  // <testsuites> counts no skipped cases.
  std::string Attributes(bool of_suite) const {
    const auto count = [](const char* name, int64_t n) {
      return StrCat(" ", name, "=\"", n, "\"");
    };
    return StrCat(count("tests", all), count("failures", failed), count("errors", errors),
                  of_suite ? count("skipped", skipped) : "", StrFormat(" time=\"%.3f\"", seconds));
  }
};

std::string CaseXml(const Case& c) {
  std::string xml = StrCat("    <testcase name=\"", Xml(c.name), "\" classname=\"", Xml(c.suite),
                           "\"", StrFormat(" time=\"%.3f\"", c.seconds));
  const std::string body = c.detail.empty() ? c.message : StrCat(c.message, "\n", c.detail);
  const char* element = c.state == Case::State::kFailed    ? "failure"
                        : c.state == Case::State::kError   ? "error"
                        : c.state == Case::State::kSkipped ? "skipped"
                                                           : "system-out";
  if (c.state == Case::State::kPassed && body.empty()) return xml + "/>\n";
  xml += StrCat(">\n      <", element);
  // By Jenkins' schema <skipped> and <system-out> have no attributes.
  if (c.state == Case::State::kFailed || c.state == Case::State::kError)
    xml += StrCat(" message=\"", Xml(c.message), "\"");
  if (c.state == Case::State::kFailed) xml += " type=\"gate\"";
  if (c.state == Case::State::kError) xml += " type=\"error\"";
  return xml + StrCat(">", Xml(body), "</", element, ">\n    </testcase>\n");
}

}  // namespace

std::vector<Case> CasesOf(const std::vector<Gate>& gates, const std::string& suite,
                          const std::string& file) {
  std::vector<Case> cases;
  for (const Gate& gate : gates) {
    const bool undecided = gate.verdict == Verdict::kUndecided;
    const double distance = std::fabs(gate.value - gate.limit);
    cases.push_back({.suite = suite,
                     .name = gate.name,
                     .state = !gate.accepted ? Case::State::kFailed
                              : undecided    ? Case::State::kSkipped
                                             : Case::State::kPassed,
                     .message = gate.message,
                     .detail = gate.note,
                     .file = file,
                     .severity = std::isnan(distance)
                                     ? INFINITY
                                     : distance / std::max(1e-9, std::fabs(gate.limit))});
  }
  return cases;
}

std::string JUnitXml(const std::vector<Case>& cases) {
  std::vector<std::string> order;
  std::map<std::string, std::pair<Counts, std::string>> suites;
  Counts all;
  for (const Case& c : cases) {
    const auto [suite, is_new] = suites.try_emplace(c.suite);
    if (is_new) order.push_back(c.suite);
    suite->second.first.Add(c);
    suite->second.second += CaseXml(c);
    all.Add(c);
  }
  std::string xml =
      StrCat("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"roundel\"",
             all.Attributes(false), ">\n");
  for (const std::string& name : order)
    xml += StrCat("  <testsuite name=\"", Xml(name), "\"", suites[name].first.Attributes(true),
                  ">\n", suites[name].second, "  </testsuite>\n");
  return xml + "</testsuites>\n";
}

}  // namespace roundel::report
