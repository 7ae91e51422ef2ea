#include "cmd/case_output.h"

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cmd/outputs.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/text.h"

namespace roundel::cmd {
namespace {

constexpr size_t kSummaryLimit = size_t{1} << 20;  // GitHub's, for all that a step writes

// The summary is a courtesy: what keeps it from being written is a warning.
void AppendSummary(const std::string& title, const std::vector<report::Case>& cases) {
  const char* path = std::getenv("GITHUB_STEP_SUMMARY");
  if (path == nullptr || *path == '\0') return;
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  const size_t used = error ? 0 : static_cast<size_t>(size);
  const size_t budget = used < kSummaryLimit ? kSummaryLimit - used - 1 : 0;
  const std::string text = report::GithubSummary(title, cases, budget);
  std::ofstream file(path, std::ios::binary | std::ios::app);
  file << text;
  if (!file.flush())
    LogWarning(StrCat("cannot write the summary to '", path, "', which GITHUB_STEP_SUMMARY names"));
}

}  // namespace

void AddCaseFlags(CLI::App& app, CaseFlags* flags) {
  app.add_option("--junit", flags->junit, "Write the results as JUnit XML to this file")
      ->option_text("FILE")
      ->group("CI");
  app.add_flag(
         "--github", flags->github,
         "Print failures as commands of GitHub Actions, and add a table to the summary of the "
         "step (GITHUB_STEP_SUMMARY)")
      ->group("CI");
}

Status CheckCaseFlags(const CaseFlags& flags, const std::vector<std::string>& inputs,
                      const Console& console) {
  if (flags.github && console.json)
    return UsageError("--github and --json both write to stdout: give one of them");
  return flags.junit.empty() ? OkStatus() : CheckOutputs({flags.junit}, inputs);
}

Status WriteCases(const CaseFlags& flags, const std::string& title, const std::string& suite,
                  std::vector<report::Case> cases, Status status, Console& console) {
  if (!flags.any() || status.kind() == ErrorKind::kInterrupted) return status;
  if (!status.ok() && status.kind() != ErrorKind::kGate)
    cases.push_back({.suite = suite,
                     .name = title,
                     .state = report::Case::State::kError,
                     .message = status.message()});
  if (flags.github) {
    console.out << report::GithubCommands(cases);
    AppendSummary(title, cases);
  }
  if (flags.junit.empty()) return status;
  const Status written = WriteFileAtomically(flags.junit, report::JUnitXml(cases));
  return status.ok() ? written : status;
}

}  // namespace roundel::cmd
