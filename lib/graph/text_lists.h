#pragma once
// Lists of attribute values in graph text; private to its parser.

#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

// One list of the items' common kind; integers among floats become floats. False: there is none.
bool MakeAttributeList(const std::vector<Attribute::Value>& items, Attribute::Value* value);

}  // namespace roundel::graph
