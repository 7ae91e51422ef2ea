#pragma once
// Raising a model's default-domain opset with unchanged meaning.

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::graph {

inline constexpr int64_t kNewestOpset = 25;

// Rewrites nodes (sub-graphs and functions included) from the model's opset to `version`:
// attributes that became inputs, Softmax's changed meaning, Clip, ReduceX axes, Squeeze/Unsqueeze,
// Split, Resize/Upsample, Dropout, BatchNormalization, ... and raises ir_version as the opset
// needs. kModel naming the node if something cannot be converted; the model is then unchanged.
Status RaiseOpset(Model* model, int64_t version);

// Before IR version 4 every initializer had to be a graph input as well, though nobody fed it: such
// inputs go, and the model becomes IR 4, in which initializers are constants. Newer models, where
// the same means a default that callers may replace, stay as they are.
void MakeInitializersConstant(Model* model);

}  // namespace roundel::graph
