#pragma once
// The state that the steps of a job share.

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cmd/command.h"
#include "cmd/metric_gates.h"
#include "lib/graph/graph.h"
#include "lib/recipe/recipe.h"
#include "lib/report/report.h"
#include "lib/session/session.h"

namespace roundel::cmd {

struct JobState {
  const recipe::Recipe& recipe;
  Console& console;
  std::optional<Store> store = {};  // of solved layers
  report::Report report = {};
  std::unique_ptr<DataSource> data = {};
  std::vector<std::pair<std::string, std::string>> statistics = {};  // path and contents
  Session session = {};
  std::string model_hash = {};
  int64_t output_bytes = 0;  // of `quantized`, with external data
  std::vector<std::string> encodings_versions = {};
  graph::Model original = {}, quantized = {};  // before the passes, and as it is written
  const MetricFlags* metric = nullptr;         // no metric of the user's own
  bool wants_page = false;  // the report will become a page, so errors along the network pay

  // Logs the message and adds it to the report.
  void Warn(const std::string& message);
};

std::string RecipeHash(const recipe::Recipe& recipe);
// The data or eval section, with the recipe's seed if it has none of its own.
recipe::Params WithSeed(const recipe::Recipe& recipe, const std::string& section);
// The value of a parameter that may be "auto".
bool OverriddenFlag(const recipe::Params& params, const char* name, bool automatic);

}  // namespace roundel::cmd
