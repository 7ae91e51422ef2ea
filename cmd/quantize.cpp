#include <CLI/CLI.hpp>

#include <memory>

#include "cmd/job.h"
#include "cmd/options.h"
#include "cmd/recipes.h"
#include "lib/base/text.h"
#include "lib/data/dataset.h"

namespace roundel::cmd {
namespace {

struct Options {
  std::string model, output, recipe = kDefaultRecipe, target;
  DataFlags data;
  JobFlags job;
};

Status SetText(recipe::Recipe* recipe, const std::string& section, const std::string& key,
               const std::string& text) {
  for (const recipe::SectionSpec& spec : FullRecipeSpec().sections)
    if (spec.name == section) return recipe->sections[section].SetFromText(spec.params, key, text);
  return InternalError("no recipe section " + section);
}

// The flags override the recipe file.
Status ApplyFlags(const Options& options, recipe::Recipe* recipe) {
  RETURN_IF_ERROR(SetText(recipe, "", "model", options.model));
  if (!options.output.empty()) RETURN_IF_ERROR(SetText(recipe, "", "output", options.output));
  if (!options.target.empty()) RETURN_IF_ERROR(SetText(recipe, "", "target", options.target));
  // --seed sets the seed of every random choice, not only of the choice of samples.
  if (options.data.Given("seed"))
    RETURN_IF_ERROR(SetText(recipe, "", "seed", options.data.Text("seed")).At("--seed"));
  return options.data.Apply(&recipe->sections["data"]);
}

}  // namespace

CommandRun SetupQuantize(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "Float ONNX model")->required();
  app.add_option("-o,--output", options->output, "Quantized model to write")
      ->option_text("OUT.onnx");
  app.add_option("--recipe", options->recipe,
                 StrCat("Recipe to run: a built-in one ('roundel recipes') or a YAML file [",
                        kDefaultRecipe, "]"))
      ->option_text("NAME|FILE");
  app.add_option("--target", options->target,
                 "Runtime to quantize for: a target profile ('roundel targets') [the recipe's]")
      ->option_text("NAME|FILE");
  AddJobFlags(app, &options->job);
  options->data.AddTo(app, "--calib,--data");
  app.footer(
      "Writes OUT.onnx, OUT.encodings.json, OUT.recipe.yaml and OUT.report.json, all of them or "
      "none.\n"
      "Example: roundel quantize model.onnx --calib images/ --preset imagenet --count 256 \\\n"
      "             -o model_int8.onnx");
  return [options](Console& console) -> Status {
    ASSIGN_OR_RETURN(recipe::Recipe recipe, LoadRecipe(options->recipe));
    RETURN_IF_ERROR(ApplyFlags(*options, &recipe));
    return RunJob(std::move(recipe), options->job, console);
  };
}

}  // namespace roundel::cmd
