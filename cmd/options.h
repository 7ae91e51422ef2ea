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

// One flag per parameter of data::DataSpecs(), made from the table: `count` is --count; the command
// names the flag of `path`.
class DataFlags {
 public:
  // Requires: this object outlives the parsing.
  void AddTo(CLI::App& app, const std::string& path_flags);
  bool Given(const std::string& name) const { return texts_.count(name) != 0; }
  const std::string& Text(const std::string& name) const { return texts_.at(name); }
  // Sets the given parameters. Errors name the flag.
  Status Apply(recipe::Params* params) const;

 private:
  std::map<std::string, std::string> texts_;  // by parameter
};

struct JobFlags;
// --set, --dry-run, --print-recipe.
void AddJobFlags(CLI::App& app, JobFlags* flags);

// "channel_order" -> "--channel-order".
std::string FlagName(const std::string& param);

// Inputs that data must feed, in file order.
std::vector<std::string> RequiredInputs(const graph::Graph& graph);

}  // namespace roundel::cmd
