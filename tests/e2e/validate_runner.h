#pragma once
// Validates documents with JSON Schema's validator ajv, through tests/e2e/validate.js.

#include <string>
#include <vector>

namespace roundel::e2e {

// Whether node or the npm package is missing, so that the test has to return (tests/support/needs.h).
bool SkippedWithoutPackage(const std::string& package);

struct ValidateJob {
  std::string schema, document;  // texts
  bool closed = false;           // keys that the schema does not name are errors
};
// "ok" for each job, or what is wrong.
std::vector<std::string> Validate(const std::vector<ValidateJob>& jobs);

}  // namespace roundel::e2e
