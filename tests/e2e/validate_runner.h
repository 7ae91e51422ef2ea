#pragma once
// Validates documents with validators from npm, through tests/e2e/validate.js.

#include <string>
#include <vector>

namespace roundel::e2e {

// Whether node or the npm package is missing, so that the test has to return (tests/support/needs.h).
bool SkippedWithoutPackage(const std::string& package);

struct ValidateJob {
  std::string schema, document;  // texts
  bool closed = false;           // keys that the schema does not name are errors
  std::string kind = "json";     // "junit", "sarif": by schemas of others, not by `schema`
};
// "ok" for each job, or what is wrong.
std::vector<std::string> Validate(const std::vector<ValidateJob>& jobs);

}  // namespace roundel::e2e
