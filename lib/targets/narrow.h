#pragma once
// Restores the types of the file in a model that was widened to float32.

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/targets/node_types.h"

namespace roundel::target {

// Gives `model`, which may have been quantized since, the types of the table, in place: every node
// computes in one type (node_types.h), constants have the type of their readers, and Casts connect
// different types. Names, inputs and outputs are kept. Raises the opset to 19 if quantizers need
// 16-bit scales and the model can be raised. Does nothing for an empty table.
Status NarrowTypes(const FloatTypes& types, const NarrowOptions& options, graph::Model* model);

}  // namespace roundel::target
