#include "lib/targets/grid_check.h"

#include <vector>

#include "lib/base/text.h"
#include "lib/targets/grid_name.h"

namespace roundel::target {

using quant::Granularity;

bool TakesActivations(const quant::Grid& grid) {
  return grid.scales == quant::ScaleKind::kFloat &&
         (grid.is_float() || grid.kind == quant::GridKind::kInteger);
}

const std::set<std::string>& AllowedWeights(const Profile& profile, const std::string& op,
                                            ActivationMode mode) {
  if (const auto it = profile.op_weight_grids.find(op); it != profile.op_weight_grids.end())
    return it->second;
  const bool weight_only = mode == ActivationMode::kFloat && !profile.weight_only_grids.empty();
  return weight_only ? profile.weight_only_grids : profile.weight_grids;
}

Status CheckGrid(const Profile& profile, const std::string& what, const quant::Grid& grid,
                 const std::set<std::string>& allowed) {
  if (const int64_t opset = QuantizeOpset(grid.storage_type());
      profile.max_opset > 0 && opset > profile.max_opset)
    return UsageError(StrCat(what, ": ", grid.Name(), " needs opset ", opset, "; target '",
                             profile.name, "' reads up to ", profile.max_opset));
  if (grid.bits < 2 || grid.bits > 16)
    return UsageError(StrCat(what, ": ", grid.bits, " bits; 2 to 16 are possible"));
  if (GridAllowed(grid, allowed)) return OkStatus();
  return UsageError(
      StrCat(what, ": target '", profile.name, "' has no ", grid.Name(),
             "; allowed: ", Join(std::vector<std::string>(allowed.begin(), allowed.end()))));
}

Status CheckChoice(const Profile& profile, const GridChoice& choice) {
  if (choice.mode == ActivationMode::kStatic)
    RETURN_IF_ERROR(
        CheckGrid(profile, "activations", choice.activations, profile.activation_grids));
  RETURN_IF_ERROR(
      CheckGrid(profile, "weights", choice.weights, AllowedWeights(profile, "", choice.mode)));
  if (choice.weight_granularity == Granularity::kBlock && choice.block_size < 1)
    return UsageError("weights: blocks need a block size of at least 1");
  if (choice.mode == ActivationMode::kStatic && !TakesActivations(choice.activations))
    return UsageError(
        StrCat("activations: ", choice.activations.Name(), " is a format of weights"));
  if (choice.activations.narrow_range)
    return UsageError("activations: a narrow range has no QuantizeLinear; leave 'narrow' out");
  const std::string mode = kActivationModes[static_cast<int>(choice.mode)];
  if (!profile.modes.empty() && !profile.modes.contains(mode))
    return UsageError(StrCat("activations: target '", profile.name, "' has no mode ", mode));
  return OkStatus();
}

std::string OneScaleReason(const Profile& profile, const std::string& op, int64_t rank,
                           bool on_codes) {
  if (profile.per_tensor_ops.contains(op))
    return StrCat(profile.name, " takes one scale for the weights of ", op);
  const auto most = profile.max_channel_rank.find(op);
  if (!on_codes || most == profile.max_channel_rank.end() || rank <= most->second) return "";
  return StrCat("a ", op, " of codes takes scales per channel up to rank ", most->second,
                ", this weight has ", rank);
}

}  // namespace roundel::target
