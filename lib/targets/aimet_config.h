#pragma once
// AIMET's quantsim configuration (JSON) as a target profile.

#include <string>

#include "lib/base/status.h"
#include "lib/targets/profile.h"

namespace roundel::target {

// Sections defaults, params, op_type, supergroups, model_input and model_output; later ones and
// single op types overrule the defaults. `generic` tells which ops there are, for the defaults
// speak of all of them. kUsage, "source:line: ...", for what is no such configuration.
Result<Profile> ParseAimetConfig(const std::string& json, const std::string& source,
                                 const Profile& generic);

}  // namespace roundel::target
