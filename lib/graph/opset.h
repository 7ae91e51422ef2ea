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

// Before opset 13 a Softmax (LogSoftmax, Hardmax) ran over all axes from its own on together. Where that
// is not the last one alone, Flatten and Reshape around it say so, as RaiseOpset would have it: whoever
// looks at the nodes then sees those that are written.
void FlattenSoftmaxes(Model* model);

// Initializers that are graph inputs as well stop being inputs. Before IR version 4 all of them had to
// be, though nobody fed them; such a model becomes IR 4. From then on it means a default that callers
// may replace, which exporters list by mistake more often than not: returns the names of those.
std::vector<std::string> MakeInitializersConstant(Model* model);

}  // namespace roundel::graph
