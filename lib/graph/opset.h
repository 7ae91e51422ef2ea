#pragma once
// Raises the ai.onnx opset of a model without a change of meaning.

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::graph {

inline constexpr int64_t kNewestOpset = 25;

// Rewrites nodes (sub-graphs and functions included) from the model's opset to `version`:
// attributes that became inputs, Softmax's changed meaning, Clip, ReduceX axes, Squeeze/Unsqueeze,
// Split, Resize/Upsample, Dropout, BatchNormalization, ... and raises ir_version as the opset
// needs. Errors: kModel, naming the node, if it cannot be converted; the model is unchanged.
Status RaiseOpset(Model* model, int64_t version);

// Before opset 13 a Softmax (LogSoftmax, Hardmax) normalizes over all axes from `axis` on together.
// If that is more than the last axis, this function puts Flatten and Reshape around it, as
// RaiseOpset does: then placement sees the nodes that export writes.
void FlattenSoftmaxes(Model* model);

// Removes initializers from the graph inputs. Before IR version 4 every initializer had to be an
// input; such a model becomes IR 4. From IR 4 on it means a default that callers may replace, but
// exporters often list it by mistake: the names of these initializers are returned.
std::vector<std::string> MakeInitializersConstant(Model* model);

}  // namespace roundel::graph
