#pragma once
// Whether a target has the grids that a recipe asks for.

#include <set>
#include <string>

#include "lib/base/status.h"
#include "lib/targets/profile.h"

namespace roundel::target {

// kUsage for a choice that the profile does not allow or that contradicts itself.
Status CheckChoice(const Profile& profile, const GridChoice& choice);
// kUsage ("`what`: target 'x' has no uint4 ...") unless `allowed` holds the grid and the target's
// opset its type.
Status CheckGrid(const Profile& profile, const std::string& what, const quant::Grid& grid,
                 const std::set<std::string>& allowed);
// Codes of two or three levels and scales in blocks are for constants.
bool TakesActivations(const quant::Grid& grid);
// The grids of weights of `op` ("" = in general), in layers that take their inputs in this mode.
const std::set<std::string>& AllowedWeights(const Profile& profile, const std::string& op,
                                            ActivationMode mode);

// Why weights of `op` and this rank have one scale, whatever a recipe wants; "" if channels may have
// their own. `on_codes`: the layer's input is quantized as well.
std::string OneScaleReason(const Profile& profile, const std::string& op, int64_t rank,
                           bool on_codes);

}  // namespace roundel::target
