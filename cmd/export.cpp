#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>

#include "cmd/command.h"
#include "cmd/loading.h"
#include "cmd/outputs.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/graph/bodies.h"
#include "lib/io/tensorrt_cache.h"
#include "lib/target/export.h"
#include "lib/target/qdq.h"

namespace roundel::cmd {
namespace {

constexpr char kCache[] = "tensorrt-cache";

struct Options {
  std::string model, encodings, output, to = "qdq";
  std::vector<std::string> versions = {"1.0.0"};
  bool keep_relu = false, contrib_qdq = false, external_data = false;
};

struct Written {
  std::vector<std::string> paths;
  size_t encodings = 0;
  std::vector<std::string> kept;  // Q/DQ nodes that are no encoding
};

// A float model and the encodings of --encodings, or what a QDQ model holds of both.
Result<target::FloatModel> ReadSource(const Options& options, std::vector<std::string>* kept) {
  ASSIGN_OR_RETURN(LoadedModel loaded, LoadModel(options.model));
  if (options.encodings.empty()) return target::ImportQdq(loaded.model, kept);
  ASSIGN_OR_RETURN(quant::EncodingTable table, ReadEncodings(options.encodings, &loaded.model));
  return target::FloatModel{std::move(loaded.model), std::move(table)};
}

Result<Written> WriteQuantized(const Options& options) {
  if (options.encodings.empty() && options.to == "qdq")
    return UsageError("give the encodings to write into the model: --encodings FILE");
  RETURN_IF_ERROR(CheckOutputs({options.output}, {options.model, options.encodings}));
  if (options.to != kCache) RETURN_IF_ERROR(CheckExternalData(options.model, options.output));
  Written written{{options.output}, 0, {}};
  ASSIGN_OR_RETURN(const target::FloatModel source, ReadSource(options, &written.kept));
  written.encodings = source.encodings.size();
  if (options.encodings.empty() && source.encodings.empty())
    return ModelError(StrCat("'", options.model, "' has no quantizers: give --encodings FILE"));
  OutputSet files;
  if (options.to == kCache) {
    RETURN_IF_ERROR(files.Stage(options.output, io::TensorRtCache(source.encodings)));
    RETURN_IF_ERROR(files.Commit({}, {}));
    return written;
  }
  ASSIGN_OR_RETURN(const graph::Model quantized,
                   target::Export(source.model, source.encodings,
                                  {.format = options.to,
                                   .qdq = {.absorb_relu = !options.keep_relu,
                                           .contrib_qdq = options.contrib_qdq}}));
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
  ASSIGN_OR_RETURN(const target::FloatModel result, target::ImportQdq(loaded.model, &written.kept));
  written.encodings = result.encodings.size();
  if (result.encodings.empty())
    return ModelError(
        StrCat("'", options.model, "' has no QuantizeLinear/DequantizeLinear to take out"));
  OutputSet files;
  RETURN_IF_ERROR(files.StageEncodings(result.encodings, *graph::WithBodies(result.model), options.output,
                                       options.versions));
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
  app.add_option("MODEL", options->model, "Float model with --encodings, or a QDQ model")
      ->required();
  app.add_option("-o,--output", options->output, "Model to write")
      ->required()
      ->option_text("OUT.onnx");
  app.add_option("--to", options->to,
                 "qdq: put --encodings into the float model as QuantizeLinear/DequantizeLinear; "
                 "float: take them out of a QDQ model; matmulnbits, qoperator, tensorrt-cache: "
                 "other forms of either [qdq]")
      ->check(CLI::IsMember({"qdq", "float", "matmulnbits", "qoperator", kCache}))
      ->option_text("FORMAT");
  app.add_option("--encodings", options->encodings, "Encodings file to export (--to qdq)")
      ->option_text("FILE");
  app.add_option("--encodings-version", options->versions,
                 "Versions of the encodings files to write (--to float): 0.6.1, 1.0.0, 2.0.0, "
                 "2.1.0 "
                 "[1.0.0]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"0.6.1", "1.0.0", "2.0.0", "2.1.0"}))
      ->option_text("V,V,...");
  app.add_flag("--keep-relu", options->keep_relu,
               "Keep Relu and Clip nodes whose clamp the quantizer repeats");
  app.add_flag("--contrib-qdq", options->contrib_qdq,
               "com.microsoft quantizers where the opset cannot be raised");
  app.add_flag("--external-data", options->external_data, "Weights in a file beside the model");
  app.footer(
      "Examples: roundel export model.onnx --encodings model.encodings.json -o model_qdq.onnx\n"
      "          roundel export model_qdq.onnx --to float -o model_float.onnx");
  return [options](Console& console) { return RunExport(*options, console); };
}

}  // namespace roundel::cmd
