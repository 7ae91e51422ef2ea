#include "cmd/job_names.h"

#include <filesystem>

#include "cmd/described.h"
#include "cmd/outputs.h"
#include "cmd/recipes.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

namespace roundel::cmd {
namespace {

namespace fs = std::filesystem;
using recipe::Params;
using recipe::Recipe;

// The values of a parameter of the steps: stats_in or stats_out.
std::vector<std::string> StatisticsFilesOf(const Recipe& recipe, const std::string& parameter) {
  std::vector<std::string> files;
  for (const recipe::Step& step : recipe.steps) {
    const auto found = step.params.values().find(parameter);
    if (found == step.params.values().end() || step.params.IsDefault(parameter)) continue;
    if (const auto* one = std::get_if<std::string>(&found->second)) files.push_back(*one);
    if (const auto* list = std::get_if<std::vector<std::string>>(&found->second))
      files.insert(files.end(), list->begin(), list->end());
  }
  return files;
}

// A folder of solved layers with the name of an output would prevent writing the output.
Status CheckStore(const std::string& store, const OutputNames& names) {
  for (const std::string& output : names.All())
    if (fs::path(store).lexically_normal() == fs::path(output).lexically_normal())
      return UsageError(StrCat("--store '", store, "' is the name of an output; choose another"));
  return OkStatus();
}

}  // namespace

std::vector<std::string> OutputNames::All() const {
  std::vector<std::string> all = {model, recipe, report};
  all.insert(all.end(), encodings.begin(), encodings.end());
  all.insert(all.end(), statistics.begin(), statistics.end());
  for (const std::string& asked : {float_model, html})
    if (!asked.empty()) all.push_back(asked);
  if (external_data) all.push_back(model + ".data");
  if (external_data && !float_model.empty()) all.push_back(float_model + ".data");
  return all;
}

OutputNames NamesFor(const Recipe& recipe) {
  const std::string& model = recipe.Section("").String("output");
  const Params& section = recipe.Section("export");
  return {.model = model,
          .float_model = section.Bool("float_model") ? Beside(model, ".float.onnx") : "",
          .recipe = Beside(model, ".recipe.yaml"),
          .report = Beside(model, ".report.json"),
          .html = "",
          .encodings = EncodingsPaths(model, RequestedVersions(recipe)),
          .statistics = StatisticsFilesOf(recipe, "stats_out"),
          .external_data = section.Bool("external_data")};
}

std::string EffectiveRecipe(const Recipe& recipe, const OutputNames& names) {
  const std::string folder = fs::path(names.model).parent_path().string();
  return recipe::PrintRecipe(FullRecipeSpec(), RelativeTo(recipe, folder), true);
}

Status CheckNames(const Recipe& recipe, const std::string& store, const OutputNames& names) {
  std::vector<std::string> inputs = {recipe.Section("").String("model"),
                                     recipe.Section("").String("target")};
  for (const char* section : {"data", "eval"})
    for (const char* key : {"path", "names", "labels"})
      inputs.push_back(recipe.Section(section).String(key));
  for (const std::string& file : StatisticsFilesOf(recipe, "stats_in")) inputs.push_back(file);
  // An effective recipe may be run again: it then replaces itself.
  const Result<std::string> source = ReadTextFile(recipe.source);
  if (!source.ok() || *source != EffectiveRecipe(recipe, names)) inputs.push_back(recipe.source);
  RETURN_IF_ERROR(CheckOutputs(names.All(), inputs));
  RETURN_IF_ERROR(CheckExternalData(inputs[0], names.model));
  return CheckStore(store, names);
}

}  // namespace roundel::cmd
