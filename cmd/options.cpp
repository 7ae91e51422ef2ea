#include "cmd/options.h"

#include <CLI/CLI.hpp>

#include <algorithm>

#include "cmd/job.h"
#include "lib/base/text.h"
#include "lib/data/dataset.h"

namespace roundel::cmd {
namespace {

// Bounds that only exclude absurd values are not worth showing.
bool WorthShowing(const recipe::ParamSpec& spec) {
  constexpr double kAbsurd = 1e9;
  return !spec.choices.empty() || (spec.min > -kAbsurd && spec.max < kAbsurd);
}

std::string HelpText(const recipe::ParamSpec& spec) {
  const std::string range = WorthShowing(spec) ? recipe::ParamRangeText(spec) : "";
  std::string text = spec.help;
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  if (!range.empty()) text += "; " + range;
  if (!spec.unit.empty()) text += StrCat(" (", spec.unit, ")");
  const std::string value = recipe::ParamValueText(spec.default_value);
  if (value != "\"\"" && value != "[]" && value != "false") text += StrCat(" [", value, "]");
  return text;
}

// A flag for one key of the recipe.
CLI::Option* AddShorthand(CLI::App& app, const std::string& names, const std::string& key,
                          const std::string& help, JobFlags* flags) {
  return app.add_option_function<std::string>(
      names, [=](const std::string& text) { flags->shorthands.push_back(StrCat(key, "=", text)); },
      help);
}

const char* TypeName(const recipe::ParamSpec& spec) {
  constexpr const char* kNames[] = {"", "N", "X", "TEXT", "X,X,...", "TEXT,..."};
  return kNames[spec.default_value.index()];
}

}  // namespace

std::string FlagName(const std::string& param) {
  std::string flag = "--" + param;
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

DataFlags::DataFlags() : ParamFlags(data::DataSpecs(), "Data") {}

void ParamFlags::AddTo(CLI::App& app, const std::string& path_flags) {
  for (const recipe::ParamSpec& spec : specs_) {
    const std::string names = spec.name == "path" ? path_flags : FlagName(spec.name);
    if (std::holds_alternative<bool>(spec.default_value)) {
      const bool when_given = !std::get<bool>(spec.default_value);
      const std::string flag = when_given ? names : "--no-" + names.substr(2);
      app.add_flag_callback(
             flag, [this, &spec, when_given] { texts_[spec.name] = when_given ? "true" : "false"; },
             HelpText(spec))
          ->group(group_);
      continue;
    }
    app.add_option_function<std::string>(
           names, [this, &spec](const std::string& text) { texts_[spec.name] = text; },
           HelpText(spec))
        ->option_text(spec.name == "path" ? "PATH" : TypeName(spec))
        ->group(group_);
  }
}

Status ParamFlags::Apply(recipe::Params* params) const {
  for (const auto& [name, text] : texts_)
    RETURN_IF_ERROR(params->SetFromText(specs_, name, text).At(FlagName(name)));
  return OkStatus();
}

void AddJobFlags(CLI::App& app, JobFlags* flags) {
  app.add_option("--set", flags->overrides,
                 "Set a key of the recipe, such as weights.bits=4 or calibrate.method=percentile "
                 "(repeatable)")
      ->option_text("KEY=VALUE")
      ->allow_extra_args(false);
  AddShorthand(app, "--bits,--weights-bits", "weights.bits",
               "Bits per weight, 2 to 16 (recipe key weights.bits) [the recipe's]", flags)
      ->option_text("N");
  AddShorthand(app, "--activations-bits", "activations.bits",
               "Bits per activation, 2 to 16 (recipe key activations.bits) [the recipe's]", flags)
      ->option_text("N");
  AddShorthand(app, "--method", "calibrate.method",
               "Calibration method, which computes activation ranges from the data ('roundel "
               "passes calibrate' lists them) [the recipe's]",
               flags)
      ->option_text("NAME");
  app.add_option(
         "--stats-out", flags->stats_out,
         "Write the calibration statistics to this file, for --stats-in (docs/statistics.md)")
      ->option_text("FILE");
  app.add_option("--stats-in", flags->stats_in,
                 "Calibrate from this statistics file instead of data (repeatable: statistics of "
                 "parts of a data set are merged)")
      ->option_text("FILE")
      ->allow_extra_args(false);
  app.add_flag("--resume", flags->resume,
               "Save the solution of each layer in OUT.store, and reuse the solutions found there");
  app.add_option("--store", flags->store,
                 "Folder of saved solutions to use instead of OUT.store; several outputs can share "
                 "it (implies --resume)")
      ->option_text("DIR");
  app.add_option("--shard", flags->shard,
                 "Solve part I of N of the layers only, counted from 0, and leave the solutions in "
                 "the store for a later run (docs/batch.md)")
      ->option_text("I/N");
  app.add_flag("--sums-only", flags->sums_only,
               "Gather the sums of layers in the store, without solving; part I of N with --shard "
               "[of a Slurm array or MPI, its part; else all]");
  app.add_option("--html", flags->html,
                 "Write the report as one HTML page, too ('roundel report' makes it later)")
      ->option_text("FILE");
  AddMetricFlags(app, &flags->metric);
  app.add_flag("--keep-initializer-inputs", flags->keep_initializer_inputs,
               "Keep initializers that are also graph inputs as inputs, because callers feed them; "
               "they are not quantized");
  app.add_flag(
      "--requantize", flags->requantize,
      "Accept a model that holds quantizers already; they are kept, and new ones are added");
  app.add_flag(
      "--dry-run", flags->dry_run,
      "Print what would be quantized and how large the result would be, then stop; needs no data");
  app.add_flag("--print-recipe", flags->print_recipe,
               "Print the recipe with all defaults and flags filled in, then stop");
}

std::vector<std::string> RequiredInputs(const graph::Graph& graph) {
  std::vector<std::string> names;
  for (const graph::ValueInfo& input : graph.inputs)
    if (graph.FindInitializer(input.name) == nullptr) names.push_back(input.name);
  return names;
}

}  // namespace roundel::cmd
