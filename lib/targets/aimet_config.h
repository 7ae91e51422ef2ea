#pragma once
// AIMET's quantsim configuration (JSON) as a target profile.

#include <string>

#include "lib/base/status.h"
#include "lib/targets/profile.h"

namespace roundel::target {

// Reads the sections defaults, params, op_type, supergroups, model_input and model_output; later
// ones and single op types override the defaults. The defaults apply to the ops of `generic`.
// Errors: kUsage, "source:line: ...", for invalid configurations.
Result<Profile> ParseAimetConfig(const std::string& json, const std::string& source,
                                 const Profile& generic);

}  // namespace roundel::target
