#pragma once

namespace roundel::cmd {

// The commit that this program was built from, plus "-dirty" if files were changed; "" if it was
// not built in a checkout. Output files contain only the version (ROUNDEL_VERSION), so that the
// same version writes the same bytes.
const char* GitCommit();

}  // namespace roundel::cmd
