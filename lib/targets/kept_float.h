#pragma once
// Values that stay float although their target would have a quantizer there: the data says nothing
// of their range, or the recipe has its own word. A quantized model names them in its metadata, so
// that whoever reads it does not take them for forgotten.

#include <set>
#include <string>

#include "lib/graph/graph.h"

namespace roundel::target {

// In place of what the model said before.
void NoteKeptFloat(const std::set<std::string>& values, graph::Model* model);
std::set<std::string> KeptFloat(const graph::Model& model);

}  // namespace roundel::target
