#pragma once
// Constants that the float model holds per channel: gains and shifts of norms, and factors and terms
// that are multiplied or added.

#include <string>
#include <vector>

#include "lib/session/session.h"
#include "lib/structure/blocks.h"
#include "lib/tune/form.h"

namespace roundel::tune {

// A form for every float constant of the block that has one value per channel, that no encoding
// describes, that one node alone reads, and that has a gradient; not for weights and biases of layers.
// The rate is relative to the constant's root mean square, or to 1 if the constant is smaller than that
// by far. Requires: the session's model outlives the forms.
std::vector<FormPtr> ConstantForms(const Session& session, const structure::Block& block,
                                   double rate);

}  // namespace roundel::tune
