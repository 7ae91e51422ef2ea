#pragma once
// Findings of lint as SARIF 2.1.0 (OASIS), which code scanning services read.

#include <string>

#include "lib/targets/lint.h"

namespace roundel::cmd {

// One run with the rules of lint and a result per violation; those that make a runtime reject the
// model are errors, others warnings. At most 5,000 results, the first ones: GitHub shows no more.
std::string SarifText(const target::LintResult& result, const std::string& model,
                      const std::string& target);

}  // namespace roundel::cmd
