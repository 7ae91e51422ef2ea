#pragma once
// Groups of flags that several commands share.

#include <map>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/recipe/params.h"

namespace CLI {
class App;
}

namespace roundel::cmd {

// One flag per parameter of a table: `count` is --count.
class ParamFlags {
 public:
  // Requires: `specs` outlives this object.
  ParamFlags(const recipe::ParamSpecs& specs, const char* group) : specs_(specs), group_(group) {}
  // `path_flags`: the names of the flag of the parameter `path`. Requires: this object outlives the
  // parsing.
  void AddTo(CLI::App& app, const std::string& path_flags = "");
  bool Given(const std::string& name) const { return texts_.count(name) != 0; }
  const std::string& Text(const std::string& name) const { return texts_.at(name); }
  // Sets the given parameters. Errors name the flag.
  Status Apply(recipe::Params* params) const;

 private:
  const recipe::ParamSpecs& specs_;
  const char* group_;
  std::map<std::string, std::string> texts_;  // by parameter
};

// Of data::DataSpecs(); the command names the flag of `path`.
class DataFlags : public ParamFlags {
 public:
  DataFlags();
};

struct JobFlags;
// --set, --dry-run, --print-recipe.
void AddJobFlags(CLI::App& app, JobFlags* flags);

// "channel_order" -> "--channel-order".
std::string FlagName(const std::string& param);

// Inputs that data must feed, in file order.
std::vector<std::string> RequiredInputs(const graph::Graph& graph);

}  // namespace roundel::cmd
