#include "cmd/job.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "cmd/described.h"
#include "cmd/grid_keys.h"
#include "cmd/job_checks.h"
#include "cmd/job_export.h"
#include "cmd/job_names.h"
#include "cmd/job_state.h"
#include "cmd/outputs.h"
#include "cmd/recipes.h"
#include "lib/base/text.h"
#include "lib/engine/host_facts.h"
#include "lib/eval/gates.h"
#include "lib/graph/bodies.h"
#include "lib/io/statistics_json.h"
#include "lib/report/html.h"
#include "lib/session/layer_facts.h"
#include "lib/targets/narrow.h"
#include "passes/runner.h"

namespace roundel::cmd {
namespace {

namespace fs = std::filesystem;
using recipe::Params;
using recipe::Recipe;

void AddInputFacts(JobState& s, const JobInputs& inputs) {
  s.report.Fact("tool", std::string("roundel " ROUNDEL_VERSION));
  s.report.Fact("model", fs::path(inputs.loaded.path).filename().string());
  s.report.Fact("model_hash", inputs.loaded.hash);
  s.model_hash = inputs.loaded.hash;
  s.encodings_versions = inputs.encodings_versions;
  if (!inputs.encodings_note.empty()) s.Warn(inputs.encodings_note);
  s.report.Fact("model_bytes", inputs.loaded.bytes);
  s.report.Fact("nodes", inputs.loaded.nodes);
  s.report.Fact("target", inputs.profile.name);
  s.report.Fact("recipe", fs::path(s.recipe.source).filename().string());
  s.report.Fact("recipe_hash", RecipeHash(s.recipe));
  s.report.Fact("seed", s.recipe.Section("").Int("seed"));
  s.report.Fact("weight_bytes_before", inputs.weight_bytes);
  s.report.Fact("isa", engine::FactsOfHost().onednn_isa);
  s.report.Fact("output", fs::path(s.recipe.Section("").String("output")).filename().string());
  s.report.recipe = recipe::PrintRecipe(FullRecipeSpec(), WithoutPaths(s.recipe));
}

Status OpenCalibrationData(JobState& s, const JobInputs& inputs) {
  const Params params = WithSeed(s.recipe, "data");
  if (params.String("path").empty() && params.Int("synthesize") == 0) return OkStatus();
  const bool dynamic = inputs.grids.mode == target::ActivationMode::kDynamic;
  data::DatasetFacts facts;
  ASSIGN_OR_RETURN(s.data, OpenData(params, {&inputs.loaded.model}, "--calib PATH", &facts,
                                    dynamic ? "dynamic quantization" : ""));
  if (params.Int("synthesize") > 0 && inputs.grids.mode == target::ActivationMode::kStatic)
    s.Warn(
        "data: ranges of activations come from made images, on which the last layers of a "
        "classifier have smaller values than on real ones: compare the result on real data, or "
        "keep activations float");
  s.report.Fact("data", facts.description);
  s.report.Fact("data_hash", facts.hash);
  s.report.Fact("samples", s.data->size());
  s.session.data_hash = facts.hash;
  s.session.preprocessing_hash = facts.preprocessing_hash;
  return OkStatus();
}

Status StartSession(JobState& s, const std::string& store_folder, JobInputs inputs) {
  s.session.model = std::move(inputs.loaded.model);
  s.original = graph::Clone(s.session.model);
  s.session.types = std::move(inputs.types);
  s.session.target = std::move(inputs.profile);
  s.session.grids = std::move(inputs.grids);
  s.session.data = s.data.get();
  s.session.statistics_files = {
      .read = [](const std::string& path) { return io::ReadStatistics(path); },
      .write =
          [&s](const std::string& path, const quant::CalibrationStatistics& statistics) {
            s.statistics.emplace_back(path, io::StatisticsJson(statistics));
            return OkStatus();
          }};
  if (!store_folder.empty()) {
    ASSIGN_OR_RETURN(s.store, Store::Open(store_folder, ROUNDEL_VERSION));
    s.session.store = &*s.store;
  }
  s.session.random = Random(static_cast<uint64_t>(s.recipe.Section("").Int("seed")));
  return OkStatus();
}

Status RunPasses(JobState& s, bool verify) {
  const passes::RunnerOptions options = {
      .verify_samples = verify ? s.recipe.Section("").Int("verify_samples") : 0};
  RETURN_IF_ERROR(passes::RunSteps(s.recipe.steps, options, &s.session, &s.report));
  for (const report::PassReport& pass : s.report.passes)
    for (const std::string& warning : pass.warnings) s.Warn(pass.name + ": " + warning);
  if (s.data != nullptr) {
    s.report.Fact("samples_skipped", s.data->skipped());
    if (s.data->skipped() > 0)
      s.Warn(StrCat(s.data->skipped(), " of ", s.data->size(),
                    " calibration samples could not be read"));
  }
  return OkStatus();
}

// Reports what has been quantized. Errors: no pass assigns grids.
Status RecordPlacement(JobState& s) {
  const bool converts =
      std::any_of(s.recipe.steps.begin(), s.recipe.steps.end(),
                  [](const recipe::Step& step) { return step.pass == "to_float16"; });
  if (!s.session.placement && converts) s.session.placement.emplace();
  if (!s.session.placement)
    return UsageError("no pass of the recipe assigns grids: add '- calibrate' to its passes");
  s.report.layers = LayerFactsOf(s.session);
  for (const target::FloatNode& node : s.session.placement->float_nodes)
    s.report.float_nodes.push_back({node.node, node.op_type, node.reason});
  int64_t counts[3] = {};
  for (const auto& [name, encoding] : s.session.encodings)
    ++counts[static_cast<int>(encoding.role)];
  s.report.Fact("quantized_activations", counts[0]);
  s.report.Fact("quantized_weights", counts[1]);
  s.report.Fact("quantized_biases", counts[2]);
  if (!s.session.types.empty()) s.report.Fact("float_types", target::TypesText(s.session.types));
  if (s.session.encodings.empty() && !converts)
    s.Warn("nothing was quantized: the result is the float model");
  return OkStatus();
}

}  // namespace

Result<std::vector<WrittenFile>> WriteJob(JobState& s, const OutputNames& names) {
  OutputSet files;
  const io::EncodingsOrigin origin =
      OriginOf(s.session, s.recipe, s.report, s.model_hash, RecipeHash(s.recipe));
  RETURN_IF_ERROR(files.StageEncodings(s.session.encodings, *graph::WithBodies(s.session.model),
                                       names.model, s.encodings_versions, &origin));
  s.session.model.SetMetadata(io::kFloatModelKey, origin.float_model);
  RETURN_IF_ERROR(files.Stage(names.recipe, EffectiveRecipe(s.recipe, names)));
  const std::string report = report::ReportJson(s.report);
  RETURN_IF_ERROR(files.Stage(names.report, report));
  if (!names.html.empty()) {
    ASSIGN_OR_RETURN(const std::string page, report::HtmlPage(report, names.report));
    RETURN_IF_ERROR(files.Stage(names.html, page));
  }
  for (const auto& [path, contents] : s.statistics) RETURN_IF_ERROR(files.Stage(path, contents));
  graph::Model float_model;
  std::vector<OutputSet::ModelFile> models = {{s.quantized, names.model}};
  if (!names.float_model.empty()) {
    float_model = graph::Clone(s.session.model);
    RETURN_IF_ERROR(target::NarrowTypes(s.session.types, target::NarrowOptionsOf(s.session.target),
                                        &float_model));
    models.push_back({float_model, names.float_model});
  }
  RETURN_IF_ERROR(files.Commit(models, {.external_data = names.external_data}));
  std::vector<WrittenFile> written;
  for (const std::string& path : names.All()) {
    std::error_code error;
    const auto bytes = fs::file_size(path, error);
    if (!error) written.push_back({path, static_cast<int64_t>(bytes)});
  }
  return written;
}

Status ComputeJob(JobState& s, const std::string& store, JobInputs inputs) {
  const auto start = std::chrono::steady_clock::now();
  const std::string float_model = inputs.loaded.path;
  const bool runnable = inputs.runnable;
  AddInputFacts(s, inputs);
  for (const std::string& warning : inputs.warnings) s.Warn(warning);
  RETURN_IF_ERROR(OpenCalibrationData(s, inputs));
  RETURN_IF_ERROR(StartSession(s, store, std::move(inputs)));
  RETURN_IF_ERROR(RunPasses(s, runnable));
  if (s.session.part) return OkStatus();
  RETURN_IF_ERROR(RecordPlacement(s));
  RETURN_IF_ERROR(ExportJob(s));
  RETURN_IF_ERROR(CheckJob(s));
  const OutputNames names = NamesFor(s.recipe);
  s.output_bytes = io::OnnxBytes(s.quantized, names.model, {.external_data = names.external_data});
  s.report.Fact("output_bytes", s.output_bytes);
  RETURN_IF_ERROR(MeasureJob(s, float_model));
  s.report.timing.emplace_back(
      "seconds", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  s.report.timing.emplace_back("peak_rss_bytes", report::PeakRssBytes());
  return OkStatus();
}

namespace {

// `store`: the folder in which solved layers are kept; "" for none.
Status QuantizeModel(const Recipe& recipe, const std::string& store, const JobFlags& flags,
                     Console& console) {
  RETURN_IF_ERROR(CheckMetricFlags(flags.metric, true));
  JobState s{.recipe = recipe, .console = console, .metric = &flags.metric};
  s.wants_page = !flags.html.empty();
  OutputNames names = NamesFor(recipe);
  names.html = flags.html;
  RETURN_IF_ERROR(CheckNames(recipe, store, names));
  ASSIGN_OR_RETURN(JobInputs inputs, LoadJobInputs(recipe, true));
  RETURN_IF_ERROR(CheckOutputs(names.All(), DataFilesOf(inputs.loaded)));
  RETURN_IF_ERROR(ComputeJob(s, store, std::move(inputs)));
  ASSIGN_OR_RETURN(const std::vector<WrittenFile> written, WriteJob(s, names));
  PrintJobSummary(s.report, written, console);
  return eval::GateStatus(s.report.gates);
}

// --stats-in and --stats-out.
Status SetStatisticsFiles(const JobFlags& flags, Recipe* recipe) {
  if (flags.stats_in.empty() && flags.stats_out.empty()) return OkStatus();
  bool found = false;
  for (recipe::Step& step : recipe->steps) {
    const recipe::ParamSpecs& specs = passes::FindPass(step.pass)->params;
    if (!recipe::FindParam(specs, "stats_in")) continue;
    found = true;
    if (!flags.stats_in.empty())
      RETURN_IF_ERROR(step.params.SetValue(specs, "stats_in", flags.stats_in));
    if (!flags.stats_out.empty())
      RETURN_IF_ERROR(step.params.SetValue(specs, "stats_out", flags.stats_out));
  }
  if (found) return OkStatus();
  return UsageError("--stats-in and --stats-out need a recipe with the pass calibrate");
}

// The folder of solved layers; "" for none.
std::string StoreOf(const JobFlags& flags, const std::string& output) {
  if (!flags.store.empty()) return flags.store;
  return flags.resume && !output.empty() ? Beside(output, ".store") : "";
}

std::vector<std::string> AssignmentsOf(const JobFlags& flags) {
  std::vector<std::string> assignments = flags.shorthands;
  if (flags.keep_initializer_inputs) assignments.push_back("keep_initializer_inputs=true");
  if (flags.requantize) assignments.push_back("requantize=true");
  assignments.insert(assignments.end(), flags.overrides.begin(), flags.overrides.end());
  return assignments;
}

}  // namespace

Status ApplyAssignments(const std::vector<std::string>& assignments, Recipe* recipe) {
  RETURN_IF_ERROR(FoldGridKeys(recipe).At(recipe->source));
  RETURN_IF_ERROR(OverrideGridKeys(assignments, recipe));
  for (const std::string& assignment : assignments)
    RETURN_IF_ERROR(recipe::ApplyOverride(FullRecipeSpec(), assignment, recipe));
  return FoldGridKeys(recipe).At("the command line");
}

Status RunJob(Recipe recipe, const JobFlags& flags, Console& console) {
  RETURN_IF_ERROR(SetStatisticsFiles(flags, &recipe));
  RETURN_IF_ERROR(ApplyAssignments(AssignmentsOf(flags), &recipe));
  if (flags.print_recipe) {
    const std::string text = recipe::PrintRecipe(FullRecipeSpec(), recipe, true);
    if (console.json)
      console.out << nlohmann::ordered_json{{"recipe", text}}.dump(
                         2, ' ', false, nlohmann::json::error_handler_t::replace)
                  << "\n";
    else
      console.out << text;
    return OkStatus();
  }
  if (recipe.Section("").String("model").empty())
    return UsageError(recipe.source + ": no model: set 'model', or give --set model=FILE");
  if (flags.dry_run) return PlanJob(recipe, console);
  const std::string& output = recipe.Section("").String("output");
  ASSIGN_OR_RETURN(const std::optional<LayerPart> part, PartOf(flags));
  if (part) return RunPart(recipe, StoreOf(flags, output), *part, console);
  if (output.empty())
    return UsageError("no output file: give -o OUT.onnx (or 'output' in the recipe)");
  return QuantizeModel(recipe, StoreOf(flags, output), flags, console);
}

}  // namespace roundel::cmd
