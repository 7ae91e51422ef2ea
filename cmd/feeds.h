#pragma once
// Inputs from files that are named one by one on the command line, for commands that run a model on
// these tensors.

#include <map>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/tensor/tensor.h"

namespace roundel::cmd {

// {"NAME=VALUE", ...} as a map; Errors: kUsage, with the flag, for other texts.
Result<std::map<std::string, std::string>> ByName(const std::vector<std::string>& assignments,
                                                  const char* flag);

// Errors: kUsage, with the flag, for a name that is not an input of the graph.
Status CheckInputNames(const graph::Graph& graph, const std::map<std::string, std::string>& given,
                       const char* flag);

// The arrays of `flag` NAME=FILE.npy, in the order of the inputs that a caller must feed; kUsage if
// one of these is not given.
Result<std::vector<Tensor>> ReadFeeds(const graph::Graph& graph,
                                      const std::vector<std::string>& assignments,
                                      const char* flag);

}  // namespace roundel::cmd
