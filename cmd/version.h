#pragma once

namespace roundel::cmd {

// The commit that this program was built from, with "-dirty" behind it if files were changed; "" if it
// was not built in a checkout. What is written for users names the version alone (ROUNDEL_VERSION):
// the same version writes the same bytes.
const char* GitCommit();

}  // namespace roundel::cmd
