#pragma once
// --junit and --github: the results of a command in the formats of CI systems.

#include <string>
#include <vector>

#include "cmd/command.h"
#include "lib/base/status.h"
#include "lib/report/cases.h"

namespace CLI {
class App;
}

namespace roundel::cmd {

struct CaseFlags {
  std::string junit;  // file; "" = none
  bool github = false;

  bool any() const { return github || !junit.empty(); }
};
void AddCaseFlags(CLI::App& app, CaseFlags* flags);

// Before the work. Errors: kUsage if the file cannot be written or is one of `inputs`, or if the
// commands for GitHub would disturb the JSON on stdout.
Status CheckCaseFlags(const CaseFlags& flags, const std::vector<std::string>& inputs,
                      const Console& console);

// After the work: `status` is that of the command. An error other than a failed gate becomes a case
// of its own, named after `suite`. Writes the file, the commands, and the summary of the step if
// GITHUB_STEP_SUMMARY names a file. Returns `status`, or if that is ok the error of writing.
Status WriteCases(const CaseFlags& flags, const std::string& title, const std::string& suite,
                  std::vector<report::Case> cases, Status status, Console& console);

}  // namespace roundel::cmd
