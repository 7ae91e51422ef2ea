#include <CLI/CLI.hpp>

#include <memory>

#include "cmd/job.h"
#include "cmd/options.h"
#include "cmd/recipes.h"

namespace roundel::cmd {

CommandRun SetupRun(CLI::App& app) {
  struct RunOptions {
    std::string recipe;
    JobFlags job;
  };
  const auto options = std::make_shared<RunOptions>();
  app.add_option("RECIPE", options->recipe,
                 "Recipe: a YAML file with the keys model, output, data and passes")
      ->required();
  AddJobFlags(app, &options->job);
  app.footer(
      "Relative paths in the file are taken from the file's folder.\n"
      "Example: roundel run recipe.yaml --set data.count=64");
  return [options](Console& console) -> Status {
    ASSIGN_OR_RETURN(recipe::Recipe recipe, LoadRecipe(options->recipe));
    return RunJob(std::move(recipe), options->job, console);
  };
}

}  // namespace roundel::cmd
