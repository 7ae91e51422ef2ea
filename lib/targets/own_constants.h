#pragma once
// A constant that several nodes read may be wanted in several forms: as the weight of a layer on
// 4 bits, as an operand on the grid of activations, as a bias in the unit of one layer's sums, as
// floats. An encoding belongs to a value, so that each form gets a constant of its own.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/targets/profile.h"

namespace roundel::target {

// `copy` took the place of `value` in input `index` of the node whose first output is `reader`.
struct ConstantCopy {
  std::string copy, value, reader;
  int index = 0;
};

// Place() on the model, after every reader has got a constant in the form that is placed for it.
// The first quantized form keeps the name, unless a sub-graph or an output of the graph has the
// floats by it. The copies share their bytes until somebody writes to them; their names follow from
// the graph alone. `copies`: may be nullptr.
Result<Placement> PlaceSeparately(graph::Model* model, const Profile& profile,
                                  const GridChoice& choice,
                                  std::vector<ConstantCopy>* copies = nullptr,
                                  const RangeDecisions& joins = {});

// Makes the same copies in a model that PlaceSeparately has not seen; kUsage if it lacks a value.
Status CopyConstants(const std::vector<ConstantCopy>& copies, graph::Model* model);

}  // namespace roundel::target
