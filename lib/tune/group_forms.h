#pragma once
// The forms of OmniQuant for one block: clipping of its weights, and the scales of groups within it.

#include <string>
#include <vector>

#include "lib/structure/blocks.h"
#include "lib/tune/clipping_form.h"
#include "lib/tune/scale_groups.h"

namespace roundel::tune {

struct GroupSettings {
  ClippingSettings clipping;
  double rate = 5e-3;  // of the logarithms of scales
};

// The name of the learned logarithms of a group's scales.
std::string LearnedName(const ScaleGroup& group);

// Forms of the weights of `layers` (indices into block.layers), and of all constants of those `groups`
// that lie within the block and can change. `kept` must outlive the forms.
std::vector<FormPtr> MakeGroupForms(const Session& session, const structure::Block& block,
                                    const std::vector<size_t>& layers,
                                    const std::vector<ScaleGroup>& groups,
                                    const GroupSettings& settings, KeptScales* kept);

}  // namespace roundel::tune
