#pragma once
// Values that stay float although the target places a quantizer there: their range is unknown, or
// the recipe keeps them in float. The metadata of a quantized model lists them, so that lint does
// not report them as missing.

#include <set>
#include <string>

#include "lib/graph/graph.h"

namespace roundel::target {

// Replaces the list in the metadata.
void NoteKeptFloat(const std::set<std::string>& values, graph::Model* model);
std::set<std::string> KeptFloat(const graph::Model& model);

}  // namespace roundel::target
