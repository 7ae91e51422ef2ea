// What a model really gets (after decoding and preprocessing) and what it gives, as .npy files: for
// looking into surprising accuracy, and for holding roundel against another runtime on the same pixels.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "cmd/command.h"
#include "cmd/feeds.h"
#include "cmd/loading.h"
#include "cmd/options.h"
#include "cmd/outputs.h"
#include "lib/base/commit_group.h"
#include "lib/base/interrupt.h"
#include "lib/base/progress.h"
#include "lib/base/text.h"
#include "lib/io/npy.h"

namespace roundel::cmd {
namespace {

struct Options {
  std::string model, folder;
  bool inputs = false;
  std::vector<std::string> feeds;  // NAME=FILE.npy
  DataFlags data;
};

// A value's name as part of a file name.
std::string FileName(std::string name) {
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); },
      '_');
  return name;
}

// One file per value. Names that differ in other characters than letters and digits alone are told
// apart by a number.
std::vector<std::string> PathsOf(const std::string& folder, const std::string& kind,
                                 const std::vector<std::string>& names) {
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    const std::string stem = StrCat(folder, "/", kind, ".", FileName(name));
    std::string path = stem + ".npy";
    for (int i = 2; std::find(paths.begin(), paths.end(), path) != paths.end(); ++i)
      path = StrCat(stem, "_", i, ".npy");
    paths.push_back(std::move(path));
  }
  return paths;
}

// One file per value; rows arrive batch by batch.
class Dump {
 public:
  Dump(const std::string& folder, const std::string& kind, const std::vector<std::string>& names,
       int64_t total)
      : paths_(PathsOf(folder, kind, names)) {
    for (const std::string& path : paths_) files_.emplace_back(path, total);
  }
  Status Append(const std::vector<Tensor>& values) {
    for (size_t i = 0; i < values.size(); ++i) RETURN_IF_ERROR(files_[i].Append(values[i]));
    return OkStatus();
  }
  Status Commit() {
    for (io::NpyRows& file : files_) RETURN_IF_ERROR(file.Commit());
    return OkStatus();
  }
  const std::vector<std::string>& paths() const { return paths_; }

 private:
  std::vector<std::string> paths_;
  std::vector<io::NpyRows> files_;
};

Status DumpAll(const Options& options, engine::Executor& executor, engine::DataSource& data,
               std::vector<std::string>* written) {
  Dump inputs(options.folder, "input",
              options.inputs ? executor.input_names() : std::vector<std::string>(), data.size());
  Dump outputs(options.folder, "output", executor.output_names(), data.size());
  std::vector<int64_t> labels;
  RETURN_IF_ERROR(data.Rewind());
  Progress progress("dump", data.size());
  while (true) {
    if (Interrupted()) return InterruptedError();
    ASSIGN_OR_RETURN(const std::optional<engine::Batch> batch, data.Next());
    if (!batch) break;
    if (options.inputs) RETURN_IF_ERROR(inputs.Append(batch->inputs));
    ASSIGN_OR_RETURN(const std::vector<Tensor> results, executor.Run(batch->inputs));
    RETURN_IF_ERROR(outputs.Append(results));
    labels.insert(labels.end(), batch->labels.begin(), batch->labels.end());
    progress.Advance(batch->size);
  }
  if (data.skipped() > 0)
    return DataError(StrCat(data.skipped(), " samples could not be read: leave them out by --names"));
  CommitGroup group;
  RETURN_IF_ERROR(inputs.Commit());
  RETURN_IF_ERROR(outputs.Commit());
  *written = inputs.paths();
  written->insert(written->end(), outputs.paths().begin(), outputs.paths().end());
  if (!labels.empty()) {
    written->push_back(options.folder + "/labels.npy");
    const auto count = static_cast<int64_t>(labels.size());
    RETURN_IF_ERROR(io::WriteNpy(Tensor::FromVector<int64_t>({count}, labels), written->back()));
  }
  return group.Finish();
}

Status MakeFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return UsageError(StrCat("cannot make folder '", folder, "': ", error.message()));
  return OkStatus();
}

// Nothing that is read may be replaced by what is written.
Status CheckNames(const Options& options, const engine::Executor& executor) {
  if (!std::filesystem::is_directory(options.folder)) return OkStatus();  // then nothing lies there
  std::vector<std::string> inputs = {options.model};
  for (const char* key : {"path", "labels", "names"})
    if (options.data.Given(key)) inputs.push_back(options.data.Text(key));
  for (const std::string& feed : options.feeds) inputs.push_back(feed.substr(feed.find('=') + 1));
  std::vector<std::string> outputs = PathsOf(options.folder, "output", executor.output_names());
  if (options.inputs)
    for (std::string& path : PathsOf(options.folder, "input", executor.input_names()))
      outputs.push_back(std::move(path));
  outputs.push_back(options.folder + "/labels.npy");
  return CheckOutputs(outputs, inputs);
}

// One run on whole tensors: outputs of any rank, whatever their first axis means.
Status DumpFeeds(const Options& options, const graph::Graph& graph, engine::Executor& executor,
                 std::vector<std::string>* written) {
  ASSIGN_OR_RETURN(const std::vector<Tensor> feeds, ReadFeeds(graph, options.feeds, "--feed"));
  ASSIGN_OR_RETURN(const std::vector<Tensor> results, executor.Run(feeds));
  RETURN_IF_ERROR(MakeFolder(options.folder));
  *written = PathsOf(options.folder, "output", executor.output_names());
  CommitGroup group;
  for (size_t i = 0; i < results.size(); ++i)
    RETURN_IF_ERROR(io::WriteNpy(results[i], written->at(i)));
  return group.Finish();
}

Status DumpDataset(const Options& options, const graph::Model& model, engine::Executor& executor,
                   std::vector<std::string>* written, int64_t* samples) {
  recipe::Params params(data::DataSpecs());
  RETURN_IF_ERROR(options.data.Apply(&params));
  data::DatasetFacts facts;
  ASSIGN_OR_RETURN(const auto data, OpenData(params, model, "--data PATH", &facts));
  *samples = data->size();
  RETURN_IF_ERROR(MakeFolder(options.folder));
  return DumpAll(options, executor, *data, written);
}

Status RunDump(const Options& options, Console& console) {
  ASSIGN_OR_RETURN(const LoadedModel loaded, LoadModel(options.model));
  RETURN_IF_ERROR(CheckRunnable(loaded.model, options.model));
  ASSIGN_OR_RETURN(const auto executor, engine::Executor::Create(loaded.model));
  if (!options.feeds.empty() && options.data.Given("path"))
    return UsageError("--feed and --data exclude each other");
  RETURN_IF_ERROR(CheckNames(options, *executor));
  std::vector<std::string> written;
  int64_t samples = 1;
  if (options.feeds.empty())
    RETURN_IF_ERROR(DumpDataset(options, loaded.model, *executor, &written, &samples));
  else
    RETURN_IF_ERROR(DumpFeeds(options, *loaded.model.graph, *executor, &written));
  if (console.json)
    console.out << nlohmann::ordered_json{{"samples", samples}, {"files", written}}.dump(
                       2, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
                << "\n";
  else if (!console.quiet)
    console.out << "wrote " << Join(written, "\n      ") << "\n";
  return OkStatus();
}

}  // namespace

CommandRun SetupDump(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "ONNX model")->required();
  app.add_option("-o,--output", options->folder, "Folder to write to, made if it is missing")
      ->required()
      ->option_text("DIR");
  app.add_flag("--inputs", options->inputs, "Write the preprocessed inputs, too");
  app.add_option("--feed", options->feeds,
                 "Instead of data: one run on the whole of this array (one for each input)")
      ->option_text("NAME=FILE.npy");
  options->data.AddTo(app, "--data");
  app.footer("Example: roundel dump model.onnx --data images/ --preset imagenet --inputs -o dump/");
  return [options](Console& console) { return RunDump(*options, console); };
}

}  // namespace roundel::cmd
