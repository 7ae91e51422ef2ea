#pragma once
// What `--version` says.

#include <ostream>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace roundel::cmd {

// The commit that this program was built from, plus "-dirty" if files were changed; "" if it was
// not built in a checkout. Output files contain only the version (ROUNDEL_VERSION), so that the
// same version writes the same bytes.
const char* GitCommit();
// The day of that commit: "2026-01-31", or "".
const char* CommitDay();

// The libraries that this program was compiled with (cmake/dependencies.cmake).
struct Dependency {
  std::string name, version;
};
std::vector<Dependency> Dependencies();

// `args`: what follows --version, nothing or --json. Errors: kUsage for anything else.
Status PrintVersion(const std::vector<std::string>& args, std::ostream& out);

}  // namespace roundel::cmd
