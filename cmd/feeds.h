#pragma once
// Inputs that the command line names one by one, as the commands take them that run a model on
// exactly these tensors.

#include <map>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/tensor/tensor.h"

namespace roundel::cmd {

// {"NAME=VALUE", ...} as a map; kUsage, naming the flag, for anything else.
Result<std::map<std::string, std::string>> ByName(const std::vector<std::string>& assignments,
                                                  const char* flag);

// kUsage, naming the flag, for a name that no input of the graph has.
Status CheckInputNames(const graph::Graph& graph, const std::map<std::string, std::string>& given,
                       const char* flag);

// The arrays of `flag` NAME=FILE.npy, in the order of the inputs that a caller must feed; kUsage if
// one of these is not given.
Result<std::vector<Tensor>> ReadFeeds(const graph::Graph& graph,
                                      const std::vector<std::string>& assignments,
                                      const char* flag);

}  // namespace roundel::cmd
