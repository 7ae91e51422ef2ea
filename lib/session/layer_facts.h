#pragma once
// What a report says of single layers, from the model and its encodings.

#include <vector>

#include "lib/report/details.h"
#include "lib/session/session.h"

namespace roundel {

// All layers of the main graph and its bodies with constant weights, in execution order.
std::vector<report::LayerFacts> LayerFactsOf(const ModelState& state);

}  // namespace roundel
