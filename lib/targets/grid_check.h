#pragma once
// Checks whether a target supports the grids of a recipe.

#include <set>
#include <string>

#include "lib/base/status.h"
#include "lib/targets/profile.h"

namespace roundel::target {

// Errors: kUsage for a choice that the profile does not allow or that contradicts itself.
Status CheckChoice(const Profile& profile, const GridChoice& choice);
// Errors: kUsage ("`what`: target 'x' has no uint4 ...") unless `allowed` has the grid and the
// target's opset has its type.
Status CheckGrid(const Profile& profile, const std::string& what, const quant::Grid& grid,
                 const std::set<std::string>& allowed);
// Checks that grids of two or three levels and block scales are used for constants only.
bool TakesActivations(const quant::Grid& grid);
// The grids of weights of `op` ("" = in general), in layers that take their inputs in this mode.
const std::set<std::string>& AllowedWeights(const Profile& profile, const std::string& op,
                                            ActivationMode mode);

// The reason why weights of `op` and this rank are per tensor, for any recipe; "" if they may
// be per channel. `on_codes`: the layer's input is quantized, too.
std::string OneScaleReason(const Profile& profile, const std::string& op, int64_t rank,
                           bool on_codes);

}  // namespace roundel::target
