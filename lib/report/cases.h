#pragma once
// Results as test cases, for the formats that CI systems read.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/report/gate.h"

namespace roundel::report {

struct Case {
  enum class State {
    kPassed,
    kFailed,
    kError,    // the check could not be done
    kSkipped,  // the check cannot tell
  };
  std::string suite;  // the model or job that the case is about
  std::string name;
  State state = State::kPassed;
  std::string message = {};  // one line; of a passed case optional
  std::string detail = {};   // further lines
  std::string file = {};     // to which a reader would look; "" = none
  double severity = 0;       // of failed cases: larger is worse
  double seconds = 0;
};

// One case per gate of the model `suite`; `file`: the model's path. Severity is the distance from
// the limit in shares of the limit.
std::vector<Case> CasesOf(const std::vector<Gate>& gates, const std::string& suite,
                          const std::string& file);

// JUnit's XML: one <testsuite> per suite, in the order of their first cases. Text stands in the
// attribute `message` and in the element, since some systems show only one of them.
std::string JUnitXml(const std::vector<Case>& cases);

// GitHub's workflow commands, one a line: errors of failed cases and warnings of skipped ones, worst
// first. GitHub shows ten of a kind in a step: if there are more, the tenth says how many.
std::string GithubCommands(const std::vector<Case>& cases);
// Markdown for the summary of a step: a table, failed cases first, worst first. At most `budget`
// bytes: GitHub refuses the whole summary beyond 1 MiB; rows that do not fit are counted.
std::string GithubSummary(const std::string& title, const std::vector<Case>& cases, size_t budget);

}  // namespace roundel::report
