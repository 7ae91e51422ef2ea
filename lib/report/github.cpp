#include <algorithm>

#include "lib/base/text.h"
#include "lib/report/cases.h"

namespace roundel::report {
namespace {

using State = Case::State;

constexpr size_t kShownOfAKind = 10;

// Commands end with their line: line ends are escaped, and in properties what separates these.
std::string Escaped(const std::string& text, bool property) {
  std::string out;
  for (const char c : text) {
    const bool special = c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ','));
    out += special ? StrFormat("%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)))
                   : std::string(1, c);
  }
  return out;
}

int Rank(const Case& c) {
  return c.state == State::kError     ? 0
         : c.state == State::kFailed  ? 1
         : c.state == State::kSkipped ? 2
                                      : 3;
}

std::vector<Case> WorstFirst(std::vector<Case> cases) {
  std::stable_sort(cases.begin(), cases.end(), [](const Case& a, const Case& b) {
    return Rank(a) != Rank(b) ? Rank(a) < Rank(b) : a.severity > b.severity;
  });
  return cases;
}

std::string Command(const char* kind, const Case& c) {
  std::string properties;
  if (!c.file.empty()) properties = StrCat("file=", Escaped(c.file, true), ",");
  properties += StrCat("title=", Escaped(StrCat(c.suite, ": ", c.name), true));
  return StrCat("::", kind, " ", properties, "::", Escaped(c.message, false), "\n");
}

std::string Commands(const char* kind, const std::vector<Case>& cases) {
  const size_t shown = cases.size() > kShownOfAKind ? kShownOfAKind - 1 : cases.size();
  std::string out;
  for (size_t i = 0; i < shown; ++i) out += Command(kind, cases[i]);
  if (shown < cases.size())
    out += StrCat("::", kind, " title=roundel::", cases.size() - shown,
                  " more; the step's summary and the report list them\n");
  return out;
}

// A cell of a Markdown table, as text.
std::string Cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '\n' || c == '\r')
      out += " ";
    else if (std::string("\\|`*_[]#~@").find(c) != std::string::npos)
      out += StrCat("\\", c);
    else
      out.push_back(c);
  }
  return out;
}

const char* Word(State state) {
  constexpr const char* kWords[] = {"error", "**failed**", "cannot tell", "passed"};
  return kWords[state == State::kError     ? 0
                : state == State::kFailed  ? 1
                : state == State::kSkipped ? 2
                                           : 3];
}

}  // namespace

std::string GithubCommands(const std::vector<Case>& cases) {
  std::vector<Case> errors, warnings;
  for (const Case& c : WorstFirst(cases)) {
    if (c.state == State::kFailed || c.state == State::kError) errors.push_back(c);
    if (c.state == State::kSkipped) warnings.push_back(c);
  }
  return Commands("error", errors) + Commands("warning", warnings);
}

std::string GithubSummary(const std::string& title, const std::vector<Case>& cases, size_t budget) {
  const std::vector<Case> sorted = WorstFirst(cases);
  std::string out = StrCat("### ", Cell(Printable(title)),
                           "\n\n| result | model | check | |\n|---|---|---|---|\n");
  constexpr size_t kReserve = 100;  // for the line about the rest
  for (size_t i = 0; i < sorted.size(); ++i) {
    const Case& c = sorted[i];
    const std::string row =
        StrCat("| ", Word(c.state), " | ", Cell(Printable(c.suite, 200)), " | ",
               Cell(Printable(c.name, 200)), " | ", Cell(Printable(c.message, 500)), " |\n");
    if (out.size() + row.size() + kReserve > budget)
      return out.size() + kReserve > budget
                 ? ""
                 : out + StrCat("\n", sorted.size() - i, " more rows are left out.\n\n");
    out += row;
  }
  return out.size() > budget ? "" : out + "\n";
}

}  // namespace roundel::report
