#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
#include <optional>

#include "cmd/command.h"
#include "cmd/described.h"
#include "cmd/loading.h"
#include "cmd/outputs.h"
#include "cmd/recipes.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/graph/bodies.h"
#include "lib/graph/metadata.h"
#include "lib/io/tensorrt_cache.h"
#include "lib/targets/export.h"
#include "lib/targets/formats.h"
#include "lib/targets/lint.h"
#include "lib/targets/narrow.h"
#include "lib/targets/qdq.h"

namespace roundel::cmd {
namespace {

constexpr char kCache[] = "tensorrt-cache";

std::vector<std::string> Destinations() {
  std::vector<std::string> names = target::FormatNames();
  names.insert(names.end(), {"float", kCache});
  return names;
}

struct Options {
  std::string model, encodings, output, to, target;
  std::vector<std::string> versions = {"1.0.0"};
  bool keep_relu = false, contrib_qdq = false, external_data = false;
};

struct Written {
  std::vector<std::string> paths;
  size_t encodings = 0;
  std::vector<std::string> kept;  // Q/DQ nodes that are not an encoding
};

// A float model and the encodings of --encodings, or both from a QDQ model.
Result<Described> ReadSource(const Options& options, std::vector<std::string>* kept) {
  ASSIGN_OR_RETURN(const LoadedModel loaded, LoadModel(options.model));
  if (!options.encodings.empty()) return LoadDescribed(loaded, options.encodings);
  ASSIGN_OR_RETURN(target::FloatModel floats, target::ImportQdq(loaded.model, kept));
  Described described{
      std::move(floats.model), std::move(floats.encodings), {}, std::move(floats.types)};
  described.origin.target = graph::MetadataOf(loaded.model, "roundel.target");
  return described;
}

// The requested target, or the one that the source was made for, if it is known.
Result<std::optional<target::Profile>> TargetOf(const Options& options, const Described& source) {
  std::optional<target::Profile> profile;
  if (!options.target.empty()) {
    ASSIGN_OR_RETURN(profile, target::LoadProfile(options.target));
    return profile;
  }
  const std::vector<std::string> known = target::ProfileNames();
  if (std::find(known.begin(), known.end(), source.origin.target) == known.end()) return profile;
  ASSIGN_OR_RETURN(profile, target::LoadProfile(source.origin.target));
  // A format that was requested without a target need not be one of the source's target.
  if (!options.to.empty()) profile->formats.clear();
  return profile;
}

Result<target::ExportOptions> ExportOptionsOf(const Options& options, const Described& source,
                                              const std::optional<target::Profile>& profile) {
  const std::string format = !options.to.empty() ? options.to : profile ? profile->format : "qdq";
  target::Profile any;  // no specific runtime
  any.min_opset = 0;
  if (profile) RETURN_IF_ERROR(CheckFormat(*profile, format));
  target::ExportOptions result = target::OptionsFor(profile ? *profile : any, format);
  result.qdq.absorb_relu &= !options.keep_relu;
  result.qdq.contrib_qdq |= options.contrib_qdq;
  result.dynamic_layers = source.origin.dynamic_layers;
  result.types = source.types;
  return result;
}

// Whether the target can read the result; for encodings from other tools a violation is a warning.
Status CheckRules(const graph::Model& quantized, const target::Profile& profile) {
  ASSIGN_OR_RETURN(const target::LintResult lint, target::Lint(quantized, profile));
  if (!lint.violations.empty())
    LogWarning(StrCat("the encodings break ", lint.violations.size(), " rules of target '",
                      profile.name, "': ", lint.violations[0].where, ": ", lint.violations[0].what,
                      "; roundel lint shows all"));
  return OkStatus();
}

Result<Written> WriteQuantized(const Options& options) {
  if (options.encodings.empty() && (options.to.empty() || options.to == "qdq") &&
      options.target.empty())
    return UsageError("give the encodings to write into the model: --encodings FILE");
  RETURN_IF_ERROR(CheckOutputs({options.output}, {options.model, options.encodings}));
  if (options.to != kCache) RETURN_IF_ERROR(CheckExternalData(options.model, options.output));
  Written written{{options.output}, 0, {}};
  ASSIGN_OR_RETURN(const Described source, ReadSource(options, &written.kept));
  written.encodings = source.encodings.size();
  if (options.encodings.empty() && source.encodings.empty())
    return ModelError(StrCat("'", options.model, "' has no quantizers: give --encodings FILE"));
  OutputSet files;
  if (options.to == kCache) {
    RETURN_IF_ERROR(files.Stage(options.output, io::TensorRtCache(source.encodings)));
    RETURN_IF_ERROR(files.Commit({}, {}));
    return written;
  }
  ASSIGN_OR_RETURN(const auto profile, TargetOf(options, source));
  ASSIGN_OR_RETURN(const target::ExportOptions export_options,
                   ExportOptionsOf(options, source, profile));
  ASSIGN_OR_RETURN(const graph::Model quantized,
                   target::Export(source.model, source.encodings, export_options));
  if (!options.target.empty()) RETURN_IF_ERROR(CheckRules(quantized, *profile));
  RETURN_IF_ERROR(
      files.Commit({{quantized, options.output}}, {.external_data = options.external_data}));
  return written;
}

Result<Written> WriteFloat(const Options& options) {
  if (!options.encodings.empty())
    return UsageError("--to float reads a QDQ model and writes its encodings; drop --encodings");
  std::vector<std::string> outputs = EncodingsPaths(options.output, options.versions);
  outputs.insert(outputs.begin(), options.output);
  RETURN_IF_ERROR(CheckOutputs(outputs, {options.model}));
  RETURN_IF_ERROR(CheckExternalData(options.model, options.output));
  ASSIGN_OR_RETURN(const LoadedModel loaded, LoadModel(options.model));
  Written written{outputs, 0, {}};
  ASSIGN_OR_RETURN(target::FloatModel result, target::ImportQdq(loaded.model, &written.kept));
  written.encodings = result.encodings.size();
  if (result.encodings.empty())
    return ModelError(
        StrCat("'", options.model, "' has no QuantizeLinear/DequantizeLinear to remove"));
  OutputSet files;
  RETURN_IF_ERROR(files.StageEncodings(result.encodings, *graph::WithBodies(result.model),
                                       options.output, options.versions));
  RETURN_IF_ERROR(target::NarrowTypes(result.types, {}, &result.model));
  RETURN_IF_ERROR(
      files.Commit({{result.model, options.output}}, {.external_data = options.external_data}));
  return written;
}

Status RunExport(const Options& options, Console& console) {
  const Result<Written> written =
      options.to == "float" ? WriteFloat(options) : WriteQuantized(options);
  if (!written.ok()) return written.status();
  for (const std::string& line : written->kept) LogWarning(line);
  if (console.json) {
    using Json = nlohmann::ordered_json;
    console.out << Json{{"files", written->paths},
                        {"encodings", written->encodings},
                        {"kept", written->kept}}
                       .dump(2, ' ', false, Json::error_handler_t::replace)
                << "\n";
    return OkStatus();
  }
  if (console.quiet) return OkStatus();
  console.out << written->encodings << " encodings\n";
  for (const std::string& path : written->paths) console.out << "wrote " << path << "\n";
  return OkStatus();
}

}  // namespace

CommandRun SetupExport(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "Float model (with --encodings) or QDQ model to convert")
      ->required();
  app.add_option("-o,--output", options->output, "Model to write")
      ->required()
      ->option_text("OUT.onnx");
  app.add_option("--to", options->to,
                 "Format to write: qdq = the float model with --encodings as "
                 "QuantizeLinear/DequantizeLinear pairs; float = a QDQ model without its pairs, "
                 "and encodings; matmulnbits, qoperator, tensorrt-cache = other forms, from either "
                 "model [qdq, or the target's format]")
      ->check(CLI::IsMember(Destinations()))
      ->option_text("FORMAT");
  app.add_option("--target", options->target,
                 "Runtime that will run the model: a target profile ('roundel targets') [the one "
                 "that the source was made for]")
      ->option_text("NAME|FILE");
  app.add_option("--encodings", options->encodings, "Encodings file to apply to the float model")
      ->option_text("FILE");
  app.add_option("--encodings-version", options->versions,
                 "Versions of the encodings files to write with --to float: 0.6.1, 1.0.0, 2.0.0, "
                 "2.1.0 [1.0.0]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"0.6.1", "1.0.0", "2.0.0", "2.1.0"}))
      ->option_text("V,V,...");
  app.add_flag(
      "--keep-relu", options->keep_relu,
      "Keep Relu and Clip nodes even if the quantizer after them clamps to the same range");
  app.add_flag("--contrib-qdq", options->contrib_qdq,
               "Use the quantizers of com.microsoft if the opset cannot be raised");
  app.add_flag("--external-data", options->external_data,
               "Write weights to a separate file next to the model");
  app.footer(
      "Examples: roundel export model.onnx --encodings model.encodings.json -o model_qdq.onnx\n"
      "          roundel export model_qdq.onnx --to float -o model_float.onnx");
  return [options](Console& console) { return RunExport(*options, console); };
}

}  // namespace roundel::cmd
