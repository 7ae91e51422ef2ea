#pragma once
// The way back from a model in float32 to the types that its values have in the file.

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/targets/node_types.h"

namespace roundel::target {

// Gives `model`, which may have been quantized meanwhile, the types of the table, in place: every
// node computes in one type (node_types.h), constants have that of their readers, and Casts stand
// where two types meet. Names, inputs and outputs stay. Raises the opset to 19 if quantizers are to
// have scales of 16 bits and the model can be raised. Nothing for an empty table.
Status NarrowTypes(const FloatTypes& types, const NarrowOptions& options, graph::Model* model);

}  // namespace roundel::target
