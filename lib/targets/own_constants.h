#pragma once
// Nodes may read the same constant in different forms: as a 4-bit weight of a layer, as an operand
// on the grid of activations, as a bias in the unit of one layer's sums, as floats. An encoding
// belongs to a value, so that each form becomes a separate constant.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/targets/profile.h"

namespace roundel::target {

// `copy` replaced `value` in input `index` of the node with the first output `reader`.
struct ConstantCopy {
  std::string copy, value, reader;
  int index = 0;
};

// Splits constants so that every reader has a constant of the form that is placed for it, then
// calls Place(). The first quantized form keeps the name, unless a sub-graph or a graph output
// reads the floats by it. Copies share their bytes until written to. Their names depend only on the
// graph. `copies`: may be nullptr.
Result<Placement> PlaceSeparately(graph::Model* model, const Profile& profile,
                                  const GridChoice& choice,
                                  std::vector<ConstantCopy>* copies = nullptr,
                                  const RangeDecisions& joins = {});

// Makes the same copies in another instance of the model. Errors: kUsage if it lacks a value.
Status CopyConstants(const std::vector<ConstantCopy>& copies, graph::Model* model);

}  // namespace roundel::target
