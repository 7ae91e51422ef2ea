#include "cmd/job.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>

#include "cmd/described.h"
#include "cmd/grid_keys.h"
#include "cmd/outputs.h"
#include "cmd/recipes.h"
#include "cmd/self_check.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/engine/normal_form.h"
#include "lib/eval/evaluation.h"
#include "lib/graph/bodies.h"
#include "lib/io/statistics_json.h"
#include "lib/targets/export.h"
#include "lib/targets/layer_forms.h"
#include "lib/targets/lint.h"
#include "lib/targets/narrow.h"
#include "passes/runner.h"

namespace roundel::cmd {
namespace {

namespace fs = std::filesystem;
using recipe::Params;
using recipe::Recipe;

// The names that one job writes.
struct OutputNames {
  std::string model, float_model, recipe, report;
  std::vector<std::string> encodings, statistics;
  bool external_data = false;

  std::vector<std::string> All() const {
    std::vector<std::string> all = {model, recipe, report};
    all.insert(all.end(), encodings.begin(), encodings.end());
    all.insert(all.end(), statistics.begin(), statistics.end());
    if (!float_model.empty()) all.push_back(float_model);
    if (external_data) all.push_back(model + ".data");
    if (external_data && !float_model.empty()) all.push_back(float_model + ".data");
    return all;
  }
};

// What the steps name as `parameter`, stats_in or stats_out.
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

OutputNames NamesFor(const Recipe& recipe) {
  const std::string& model = recipe.Section("").String("output");
  const Params& section = recipe.Section("export");
  return {.model = model,
          .float_model = section.Bool("float_model") ? Beside(model, ".float.onnx") : "",
          .recipe = Beside(model, ".recipe.yaml"),
          .report = Beside(model, ".report.json"),
          .encodings = EncodingsPaths(model, AskedVersions(recipe)),
          .statistics = StatisticsFilesOf(recipe, "stats_out"),
          .external_data = section.Bool("external_data")};
}

// What is written as the effective recipe.
std::string EffectiveRecipe(const Recipe& recipe, const OutputNames& names) {
  const std::string folder = fs::path(names.model).parent_path().string();
  return recipe::PrintRecipe(FullRecipeSpec(), RelativeTo(recipe, folder), true);
}

Status CheckNames(const Recipe& recipe, const OutputNames& names) {
  std::vector<std::string> inputs = {recipe.Section("").String("model"),
                                     recipe.Section("").String("target")};
  for (const char* section : {"data", "eval"})
    for (const char* key : {"path", "names", "labels"})
      inputs.push_back(recipe.Section(section).String(key));
  for (const std::string& file : StatisticsFilesOf(recipe, "stats_in")) inputs.push_back(file);
  // An effective recipe may be run again where it lies: it is then replaced by itself.
  const Result<std::string> source = ReadTextFile(recipe.source);
  if (!source.ok() || *source != EffectiveRecipe(recipe, names)) inputs.push_back(recipe.source);
  RETURN_IF_ERROR(CheckOutputs(names.All(), inputs));
  return CheckExternalData(inputs[0], names.model);
}

// The folder of solved layers would be made under the name of an output, which then cannot be written.
Status CheckStore(const std::string& store, const OutputNames& names) {
  for (const std::string& output : names.All())
    if (fs::path(store).lexically_normal() == fs::path(output).lexically_normal())
      return UsageError(StrCat("--store '", store, "' is the name of an output; choose another"));
  return OkStatus();
}

bool OverriddenFlag(const Params& params, const char* name, bool automatic) {
  return params.String(name) == kAuto ? automatic : params.String(name) == "true";
}

// The data section with the recipe's seed where it has none of its own.
Params WithSeed(const Recipe& recipe, const std::string& section) {
  Params params = recipe.Section(section);
  if (params.Int("seed") != 0) return params;
  for (const recipe::SectionSpec& spec : FullRecipeSpec().sections)
    if (spec.name == section)
      INVARIANT(params.SetValue(spec.params, "seed", recipe.Section("").Int("seed")).ok(),
                "both seeds have the same range");
  return params;
}

class Job {
 public:
  // `store`: where solved layers are kept; "": nowhere.
  Job(const Recipe& recipe, const std::string& store, Console& console)
      : recipe_(recipe), store_folder_(store), console_(console) {}

  Status Run() {
    const auto start = std::chrono::steady_clock::now();
    const OutputNames names = NamesFor(recipe_);
    RETURN_IF_ERROR(CheckNames(recipe_, names));
    RETURN_IF_ERROR(CheckStore(store_folder_, names));
    ASSIGN_OR_RETURN(JobInputs inputs, LoadJobInputs(recipe_, true));
    RETURN_IF_ERROR(CheckOutputs(names.All(), DataFilesOf(inputs.loaded)));
    const std::string float_model = inputs.loaded.path;
    AddInputFacts(inputs);
    for (const std::string& warning : inputs.warnings) Warn(warning);
    RETURN_IF_ERROR(OpenCalibrationData(inputs));
    RETURN_IF_ERROR(RunPasses(std::move(inputs)));
    RETURN_IF_ERROR(Export());
    RETURN_IF_ERROR(Check());
    const Status gate = MeasureResult(float_model);
    if (!gate.ok() && gate.kind() != ErrorKind::kGate) return gate;
    report_.timing.emplace_back(
        "seconds", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    report_.timing.emplace_back("peak_rss_bytes", report::PeakRssBytes());
    RETURN_IF_ERROR(Write(names));
    return gate;
  }

 private:
  void AddInputFacts(const JobInputs& inputs) {
    report_.Fact("tool", std::string("roundel " ROUNDEL_VERSION));
    report_.Fact("model", fs::path(inputs.loaded.path).filename().string());
    report_.Fact("model_hash", inputs.loaded.hash);
    model_hash_ = inputs.loaded.hash;
    encodings_versions_ = inputs.encodings_versions;
    if (!inputs.encodings_note.empty()) Warn(inputs.encodings_note);
    report_.Fact("model_bytes", inputs.loaded.bytes);
    report_.Fact("nodes", inputs.loaded.nodes);
    report_.Fact("target", inputs.profile.name);
    report_.Fact("recipe", fs::path(recipe_.source).filename().string());
    report_.Fact("recipe_hash", RecipeHash());
    report_.Fact("seed", recipe_.Section("").Int("seed"));
    report_.Fact("weight_bytes_before", inputs.weight_bytes);
  }

  std::string RecipeHash() const {
    Hasher hasher;
    hasher.Add(recipe::PrintRecipe(FullRecipeSpec(), WithoutPaths(recipe_)));
    return hasher.Hex();
  }

  void Warn(const std::string& message) {
    LogWarning(message);
    report_.warnings.push_back(message);
  }

  Status OpenCalibrationData(const JobInputs& inputs) {
    const Params params = WithSeed(recipe_, "data");
    if (params.String("path").empty()) return OkStatus();
    const bool dynamic = inputs.grids.mode == target::ActivationMode::kDynamic;
    data::DatasetFacts facts;
    ASSIGN_OR_RETURN(data_, OpenData(params, {&inputs.loaded.model}, "--calib PATH", &facts,
                                     dynamic ? "dynamic quantization" : ""));
    report_.Fact("data", facts.description);
    report_.Fact("data_hash", facts.hash);
    report_.Fact("samples", data_->size());
    session_.data_hash = facts.hash;
    session_.preprocessing_hash = facts.preprocessing_hash;
    return OkStatus();
  }

  Status RunPasses(JobInputs inputs) {
    const bool verify = inputs.runnable;
    session_.model = std::move(inputs.loaded.model);
    original_ = graph::Clone(session_.model);
    session_.types = std::move(inputs.types);
    session_.target = std::move(inputs.profile);
    session_.grids = std::move(inputs.grids);
    session_.data = data_.get();
    session_.statistics_files = {
        .read = [](const std::string& path) { return io::ReadStatistics(path); },
        .write =
            [this](const std::string& path, const quant::CalibrationStatistics& statistics) {
              statistics_.emplace_back(path, io::StatisticsJson(statistics));
              return OkStatus();
            }};
    if (!store_folder_.empty()) {
      ASSIGN_OR_RETURN(store_, Store::Open(store_folder_, ROUNDEL_VERSION));
      session_.store = &*store_;
    }
    session_.random = Random(static_cast<uint64_t>(recipe_.Section("").Int("seed")));
    const passes::RunnerOptions options = {
        .verify_samples = verify ? recipe_.Section("").Int("verify_samples") : 0};
    RETURN_IF_ERROR(passes::RunSteps(recipe_.steps, options, &session_, &report_));
    for (const report::PassReport& pass : report_.passes)
      for (const std::string& warning : pass.warnings) Warn(pass.name + ": " + warning);
    if (data_ != nullptr) {
      report_.Fact("samples_skipped", data_->skipped());
      if (data_->skipped() > 0)
        Warn(StrCat(data_->skipped(), " of ", data_->size(),
                    " calibration samples could not be read"));
    }
    const bool converts =
        std::any_of(recipe_.steps.begin(), recipe_.steps.end(),
                    [](const recipe::Step& step) { return step.pass == "to_float16"; });
    if (!session_.placement && converts) session_.placement.emplace();
    if (!session_.placement)
      return UsageError("no pass of the recipe assigns grids: add '- calibrate' to its passes");
    for (const target::FloatNode& node : session_.placement->float_nodes)
      report_.float_nodes.push_back({node.node, node.op_type, node.reason});
    int64_t counts[3] = {};
    for (const auto& [name, encoding] : session_.encodings)
      ++counts[static_cast<int>(encoding.role)];
    report_.Fact("quantized_activations", counts[0]);
    report_.Fact("quantized_weights", counts[1]);
    report_.Fact("quantized_biases", counts[2]);
    if (!session_.types.empty()) report_.Fact("float_types", target::TypesText(session_.types));
    if (session_.encodings.empty() && !converts)
      Warn("nothing was quantized: the result is the float model");
    return OkStatus();
  }

  Status Export() {
    const Params& section = recipe_.Section("export");
    ASSIGN_OR_RETURN(const std::string format, FormatOf(recipe_, session_.target));
    target::ExportOptions options = target::OptionsFor(session_.target, format);
    options.qdq.contrib_qdq = OverriddenFlag(section, "contrib_qdq", options.qdq.contrib_qdq);
    options.dynamic_layers = session_.placement->dynamic_layers;
    options.kept_float = session_.placement->kept_float;
    options.types = session_.types;
    ASSIGN_OR_RETURN(quantized_, target::Export(session_.model, session_.encodings, options));
    quantized_.SetMetadata("roundel.version", ROUNDEL_VERSION);
    quantized_.SetMetadata("roundel.target", session_.target.name);
    quantized_.SetMetadata("roundel.recipe_hash", RecipeHash());
    if (!session_.data_hash.empty())
      quantized_.SetMetadata("roundel.data_hash", session_.data_hash);
    report_.Fact("weight_bytes_after", InitializerBytes(quantized_));
    const target::LayerForms forms = target::CountLayerForms(quantized_);
    report_.Fact("layers_on_codes", forms.on_codes);
    report_.Fact("layers_dynamic", forms.dynamic);
    report_.Fact("layers_packed", forms.packed);
    report_.Fact("layers_dequantized", forms.dequantized);
    report_.Fact("layers_float", forms.floats);
    if (session_.target.rounds_product_inputs)
      report_.Fact("layers_rounded_inputs", forms.products);
    return CheckRules();
  }

  // What the given model breaks by itself goes from `lint` into one warning.
  Status TellOwnFaults(target::LintResult* lint) {
    ASSIGN_OR_RETURN(const target::LintResult given, target::Lint(original_, session_.target));
    std::set<std::pair<std::string, std::string>> known;
    for (const target::Violation& violation : given.violations)
      known.emplace(violation.where, violation.what);
    std::vector<target::Violation> own, ours;
    size_t own_refused = 0;
    for (size_t i = 0; i < lint->violations.size(); ++i) {
      target::Violation& violation = lint->violations[i];
      const bool is_own = known.contains({violation.where, violation.what});
      if (is_own && i < lint->refused) ++own_refused;
      (is_own ? own : ours).push_back(std::move(violation));
    }
    lint->refused -= own_refused;
    lint->violations = std::move(ours);
    if (!own.empty()) Warn(OwnFaultsText(own));
    return OkStatus();
  }

  std::string OwnFaultsText(const std::vector<target::Violation>& own) const {
    std::vector<std::string> kinds;
    for (const target::Violation& violation : own)
      if (std::find(kinds.begin(), kinds.end(), violation.what) == kinds.end())
        kinds.push_back(violation.what);
    constexpr size_t kShown = 3;
    const std::string more =
        kinds.size() > kShown ? StrCat(" and ", kinds.size() - kShown, " more") : "";
    kinds.resize(std::min(kinds.size(), kShown));
    return StrCat("the model itself breaks rules of target '", session_.target.name, "' in ",
                  own.size(), own.size() == 1 ? " place: " : " places: ", Join(kinds), more, " (",
                  own[0].why, "): ", own[0].advice);
  }

  // Nothing is written that the runtime refuses, unless the recipe's own settings may have asked for
  // it; what is only worse there than it could be is a warning.
  Status CheckRules() {
    ASSIGN_OR_RETURN(target::LintResult lint,
                     target::Lint(quantized_, session_.target, &*session_.placement));
    if (!lint.violations.empty()) RETURN_IF_ERROR(TellOwnFaults(&lint));
    if (lint.violations.empty()) return OkStatus();
    const target::Violation& first = lint.violations[0];
    const std::string text =
        StrCat("the result breaks ", lint.violations.size(),
               lint.violations.size() == 1 ? " rule" : " rules", " of target '",
               session_.target.name, "': ", first.where, ": ", first.what, " (", first.why, ")");
    const bool wished =
        !session_.grids.rules.empty() || !recipe_.Section("export").IsDefault("contrib_qdq");
    if (lint.refused > 0 && !wished) return InternalError(text + "; please report this model");
    Warn(StrCat(text, ": ", first.advice, "; roundel lint shows all"));
    return OkStatus();
  }

  Status Check() {
    const size_t before = report_.warnings.size();
    ASSIGN_OR_RETURN(const std::string format, FormatOf(recipe_, session_.target));
    const graph::Model quantized = target::InFloat32(quantized_, session_.types);
    RETURN_IF_ERROR(
        SelfCheck(recipe_.Section("check"), {original_, session_, quantized, format}, &report_));
    for (size_t i = before; i < report_.warnings.size(); ++i) LogWarning(report_.warnings[i]);
    return OkStatus();
  }

  // The eval section: the exported model against the float one. Returns the gate's verdict.
  Status MeasureResult(const std::string& float_path) {
    const Params params = WithSeed(recipe_, "eval");
    const Params& gate = recipe_.Section("gate");
    if (params.String("path").empty()) {
      if (gate.IsDefault("min_sqnr") && gate.IsDefault("max_drop")) return OkStatus();
      return UsageError("the recipe has a gate but no eval data: set eval.path");
    }
    ASSIGN_OR_RETURN(LoadedModel original, LoadModel(float_path));
    target::WidenTypes(&original.model);
    data::DatasetFacts facts;
    ASSIGN_OR_RETURN(const auto data,
                     OpenData(params, {&original.model, &quantized_}, "eval.path", &facts));
    ASSIGN_OR_RETURN(const auto first, engine::Executor::Create(original.model));
    ASSIGN_OR_RETURN(const auto second,
                     engine::Executor::Create(target::InFloat32(quantized_, session_.types)));
    ASSIGN_OR_RETURN(const eval::Evaluation result, eval::Evaluate(*first, second.get(), *data));
    report_.Fact("eval_data_hash", facts.hash);
    report_.Fact("eval_samples", result.samples);
    if (!result.class_output.empty()) {
      report_.Fact("eval_top1_float", result.first.Top1Percent());
      report_.Fact("eval_top1_quantized", result.second.Top1Percent());
    }
    for (const eval::OutputResult& output : result.outputs)
      report_.Fact(StrCat("eval_sqnr_db ", output.name), output.error.Sqnr());
    return eval::CheckGate({gate.Float("min_sqnr"), gate.Float("max_drop")}, result);
  }

  Status Write(const OutputNames& names) {
    OutputSet files;
    const io::EncodingsOrigin origin =
        OriginOf(session_, recipe_, report_, model_hash_, RecipeHash());
    RETURN_IF_ERROR(files.StageEncodings(session_.encodings, *graph::WithBodies(session_.model),
                                         names.model, encodings_versions_, &origin));
    session_.model.SetMetadata(io::kFloatModelKey, origin.float_model);
    RETURN_IF_ERROR(files.Stage(names.recipe, EffectiveRecipe(recipe_, names)));
    RETURN_IF_ERROR(files.Stage(names.report, report::ReportJson(report_)));
    for (const auto& [path, contents] : statistics_) RETURN_IF_ERROR(files.Stage(path, contents));
    std::vector<OutputSet::ModelFile> models = {{quantized_, names.model}};
    if (!names.float_model.empty()) {
      RETURN_IF_ERROR(target::NarrowTypes(session_.types, target::NarrowOptionsOf(session_.target),
                                          &session_.model));
      models.push_back({session_.model, names.float_model});
    }
    RETURN_IF_ERROR(files.Commit(models, {.external_data = names.external_data}));
    std::vector<WrittenFile> written;
    for (const std::string& path : names.All()) {
      std::error_code error;
      const auto bytes = fs::file_size(path, error);
      if (!error) written.push_back({path, static_cast<int64_t>(bytes)});
    }
    PrintJobSummary(report_, written, console_);
    return OkStatus();
  }

  const Recipe& recipe_;
  const std::string store_folder_;
  Console& console_;
  std::optional<Store> store_;
  report::Report report_;
  std::unique_ptr<DataSource> data_;
  std::vector<std::pair<std::string, std::string>> statistics_;  // path and contents
  Session session_;
  std::string model_hash_;
  std::vector<std::string> encodings_versions_;
  graph::Model original_, quantized_;  // before the passes, and as it is written
};

}  // namespace

namespace {

// Whether some step runs the model: one that looks at data, and has not been given what spares it that.
bool NeedsEngine(const Recipe& recipe, const target::GridChoice& grids) {
  if (!recipe.Section("eval").String("path").empty()) return true;
  return std::any_of(recipe.steps.begin(), recipe.steps.end(), [&](const recipe::Step& step) {
    const passes::PassInfo* pass = passes::FindPass(step.pass);
    if (!pass || !pass->needs_data) return false;
    if (pass->data_for_static_only && grids.mode != target::ActivationMode::kStatic) return false;
    return std::none_of(pass->data_substitutes.begin(), pass->data_substitutes.end(),
                        [&](const std::string& key) { return !step.params.IsDefault(key); });
  });
}

}  // namespace

Result<JobInputs> LoadJobInputs(const Recipe& recipe, bool runs) {
  JobInputs inputs;
  const Params& top = recipe.Section("");
  ASSIGN_OR_RETURN(inputs.profile, target::LoadProfile(top.String("target")));
  inputs.profile.absorb_relu =
      OverriddenFlag(recipe.Section("export"), "absorb_relu", inputs.profile.absorb_relu);
  RETURN_IF_ERROR(FormatOf(recipe, inputs.profile).status());
  ASSIGN_OR_RETURN(inputs.grids, GridChoiceOf(recipe, inputs.profile));
  ASSIGN_OR_RETURN(inputs.loaded, LoadModel(top.String("model")));
  if (!top.Bool("requantize")) RETURN_IF_ERROR(CheckFloat(inputs.loaded.model, inputs.loaded.path));
  const Status runnable = CheckRunnable(inputs.loaded.model, inputs.loaded.path);
  inputs.runnable = runnable.ok();
  if (!runnable.ok() && runs && NeedsEngine(recipe, inputs.grids))
    return ModelError(
        StrCat(runnable.message(),
               "; recipes that run nothing go without: --recipe int8_dynamic, w4_llm, "
               "data_free_int8, or any with 'activations: float'"));
  ASSIGN_OR_RETURN(
      inputs.warnings,
      engine::MakeNormalForm(&inputs.loaded.model,
                             {.keep_initializer_inputs = top.Bool("keep_initializer_inputs")}));
  if (!runnable.ok())
    inputs.warnings.push_back(runnable.message() + "; nothing is checked on samples");
  inputs.weight_bytes = InitializerBytes(inputs.loaded.model);
  inputs.types = target::WidenTypes(&inputs.loaded.model);
  // Names what the target cannot run before any data is read.
  graph::Model placed = graph::Clone(inputs.loaded.model);
  ASSIGN_OR_RETURN(const target::Placement placement,
                   target::PlaceSeparately(&placed, inputs.profile, inputs.grids));
  ASSIGN_OR_RETURN(inputs.encodings_versions, EncodingsVersions(recipe, *graph::WithBodies(placed),
                                                                placement, &inputs.encodings_note));
  return inputs;
}

namespace {

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

// What the command line says comes after what the recipe says.
Status ApplyAssignments(const JobFlags& flags, Recipe* recipe) {
  RETURN_IF_ERROR(FoldGridKeys(recipe).At(recipe->source));
  std::vector<std::string> assignments = flags.shorthands;
  if (flags.keep_initializer_inputs) assignments.push_back("keep_initializer_inputs=true");
  if (flags.requantize) assignments.push_back("requantize=true");
  assignments.insert(assignments.end(), flags.overrides.begin(), flags.overrides.end());
  RETURN_IF_ERROR(OverruleGridKeys(assignments, recipe));
  for (const std::string& assignment : assignments)
    RETURN_IF_ERROR(recipe::ApplyOverride(FullRecipeSpec(), assignment, recipe));
  return FoldGridKeys(recipe).At("the command line");
}

}  // namespace

Status RunJob(Recipe recipe, const JobFlags& flags, Console& console) {
  RETURN_IF_ERROR(SetStatisticsFiles(flags, &recipe));
  RETURN_IF_ERROR(ApplyAssignments(flags, &recipe));
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
  if (output.empty())
    return UsageError("no output file: give -o OUT.onnx (or 'output' in the recipe)");
  const std::string beside = flags.resume ? Beside(output, ".store") : "";
  return Job(recipe, flags.store.empty() ? beside : flags.store, console).Run();
}

}  // namespace roundel::cmd
