#include "cmd/feeds.h"

#include <algorithm>

#include "cmd/options.h"
#include "lib/base/text.h"
#include "lib/io/npy.h"

namespace roundel::cmd {

Result<std::map<std::string, std::string>> ByName(const std::vector<std::string>& assignments,
                                                  const char* flag) {
  std::map<std::string, std::string> values;
  for (const std::string& assignment : assignments) {
    const size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0)
      return UsageError(StrCat(flag, ": '", assignment, "' is not NAME=VALUE"));
    values[assignment.substr(0, equals)] = assignment.substr(equals + 1);
  }
  return values;
}

Status CheckInputNames(const graph::Graph& graph, const std::map<std::string, std::string>& given,
                       const char* flag) {
  const std::vector<std::string> names = RequiredInputs(graph);
  for (const auto& [name, value] : given)
    if (std::find(names.begin(), names.end(), name) == names.end())
      return UsageError(
          StrCat(flag, ": the model has no input '", name, "'; it takes ", Join(names, ", ", 8)));
  return OkStatus();
}

Result<std::vector<Tensor>> ReadFeeds(const graph::Graph& graph,
                                      const std::vector<std::string>& assignments,
                                      const char* flag) {
  ASSIGN_OR_RETURN(const auto files, ByName(assignments, flag));
  RETURN_IF_ERROR(CheckInputNames(graph, files, flag));
  std::vector<Tensor> feeds;
  for (const std::string& name : RequiredInputs(graph)) {
    const auto file = files.find(name);
    if (file == files.end())
      return UsageError(
          StrCat("input '", name, "' has no value: give ", flag, " ", name, "=FILE.npy"));
    ASSIGN_OR_RETURN(Tensor tensor, io::ReadNpy(file->second));
    feeds.push_back(std::move(tensor));
  }
  return feeds;
}

}  // namespace roundel::cmd
