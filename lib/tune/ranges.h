#pragma once
// Learned ranges of activations: which values of a block may get other scales, and what follows from
// new scales in the rest of the model.

#include <string>
#include <vector>

#include "lib/structure/blocks.h"
#include "lib/tune/form.h"

namespace roundel::tune {

// Rates of the logarithms of scales, and of zero points in codes; 0: they stay.
struct RangeRates {
  double scale = 0, zero_point = 0;
};

// Forms for each group of activations that share a range and that block `index` computes first: all
// members are results of this block or of later ones. Requires: session.placement.
std::vector<FormPtr> RangeForms(const Session& session, const std::vector<structure::Block>& blocks,
                                size_t index, const RangeRates& rates);

// The scales of all biases, from the scales of inputs and weights. Returns the number of biases that
// would no longer fit; their layers keep float biases.
int64_t RefreshBiases(const std::string& pass, Session* session);

}  // namespace roundel::tune
