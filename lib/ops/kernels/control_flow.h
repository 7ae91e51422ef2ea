#pragma once
// Helpers of If, Loop, Scan and SequenceMap.

#include <string>
#include <vector>

#include "lib/ops/kernels/common.h"

namespace roundel::engine {

// Declared outputs of the sub-graph in that attribute; kModel if it is missing.
Result<std::vector<graph::ValueInfo>> SubgraphOutputs(const OpContext& context,
                                                      const std::string& attribute);
// OpContext::RunSubgraph with `count` results, else kModel; polls for interruption, because a
// sub-graph may have no nodes.
Result<std::vector<Datum>> RunBody(OpContext& context, const std::string& attribute,
                                   const std::vector<Datum>& inputs, size_t count);

}  // namespace roundel::engine
