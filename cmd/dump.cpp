// Writes the actual inputs of a model (after decoding and preprocessing) and its values as .npy
// files: to investigate unexpected accuracy, and to compare roundel with another runtime on the
// same pixels.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

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

// The name of a value as part of a file name.
std::string FileName(std::string name) {
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); },
      '_');
  return name;
}

// One file per value. Names that differ only in characters other than letters and digits get a
// number.
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

// The values of all samples: in one file, row by row, if every sample gives one row of the first
// axis (or a number, which is a row); else one file per sample.
class Dump {
 public:
  Dump(const std::string& folder, const std::string& kind, const std::vector<std::string>& names,
       int64_t total, std::set<std::string>* apart)
      : total_(total), apart_(apart), paths_(PathsOf(folder, kind, names)) {
    for (const std::string& path : paths_) rows_.emplace_back(path, total);
  }

  // False if a value turns out to need one file per sample: it is then in `apart`, and the dump
  // must start again.
  Result<bool> Append(const std::vector<Tensor>& values, int64_t samples) {
    const int64_t first = samples_;
    samples_ += samples;
    for (size_t i = 0; i < values.size(); ++i) {
      if (apart_->contains(paths_[i])) {
        RETURN_IF_ERROR(WriteSeparately(i, values[i], first, samples));
        continue;
      }
      const Tensor value =
          values[i].rank() == 0 && samples == 1 ? values[i].Reshaped({1}) : values[i];
      Shape row = value.shape();
      if (!row.empty()) row[0] = 1;
      const auto [place, is_first] = row_shapes_.try_emplace(i, row);
      if (value.rank() == 0 || value.dim(0) != samples || place->second != row) {
        apart_->insert(paths_[i]);
        return false;
      }
      RETURN_IF_ERROR(rows_[i].Append(value));
      if (is_first) written_.push_back(paths_[i]);
    }
    return true;
  }

  Status Commit(std::vector<std::string>* written) {
    for (size_t i = 0; i < rows_.size(); ++i)
      if (!apart_->contains(paths_[i])) RETURN_IF_ERROR(rows_[i].Commit());
    written->insert(written->end(), written_.begin(), written_.end());
    return OkStatus();
  }

 private:
  // Each sample of a batch has an equal part of the first axis.
  Status WriteSeparately(size_t i, const Tensor& value, int64_t first, int64_t samples) {
    if (samples != 1 && (value.rank() == 0 || value.dim(0) % samples != 0))
      return DataError(StrCat("'", paths_[i], "': a value of shape ", ShapeString(value.shape()),
                              " cannot be divided into ", samples,
                              " samples; --batch 1 writes one at a time"));
    for (int64_t k = 0; k < samples; ++k) {
      Shape shape = value.shape();
      if (samples != 1) shape[0] /= samples;
      Tensor part = samples == 1 ? value : Tensor::Empty(value.dtype(), shape);
      if (samples != 1)
        std::memcpy(part.mutable_raw(),
                    static_cast<const std::byte*>(value.raw()) + k * part.byte_size(),
                    static_cast<size_t>(part.byte_size()));
      const std::string path = total_ == 1 ? paths_[i] : PathOfSample(paths_[i], first + k);
      RETURN_IF_ERROR(io::WriteNpy(part, path));
      written_.push_back(path);
    }
    return OkStatus();
  }

  // "output.y.npy" -> "output.y.007.npy", so that names are sorted like the samples.
  std::string PathOfSample(const std::string& path, int64_t sample) const {
    std::string number = StrCat(sample);
    const size_t digits = StrCat(total_ - 1).size();
    number.insert(0, digits - std::min(digits, number.size()), '0');
    return StrCat(path.substr(0, path.size() - 4), ".", number, ".npy");
  }

  const int64_t total_;
  std::set<std::string>* apart_;
  std::vector<std::string> paths_, written_;
  std::vector<io::NpyRows> rows_;
  std::map<size_t, Shape> row_shapes_;  // by value
  int64_t samples_ = 0;
};

// One pass through the data; false as for Dump::Append.
Result<bool> TryDump(const Options& options, engine::Executor& executor, DataSource& data,
                     std::set<std::string>* apart, std::vector<std::string>* written) {
  Dump inputs(options.folder, "input",
              options.inputs ? executor.input_names() : std::vector<std::string>(), data.size(),
              apart);
  Dump outputs(options.folder, "output", executor.output_names(), data.size(), apart);
  std::vector<int64_t> labels;
  RETURN_IF_ERROR(data.Rewind());
  Progress progress("dump", data.size());
  bool fits = true;
  while (true) {
    if (Interrupted()) return InterruptedError();
    ASSIGN_OR_RETURN(const std::optional<Batch> batch, data.Next());
    if (!batch) break;
    if (options.inputs) {
      ASSIGN_OR_RETURN(fits, inputs.Append(batch->inputs, batch->size));
      if (!fits) return false;
    }
    ASSIGN_OR_RETURN(const std::vector<Tensor> results, executor.Run(batch->inputs));
    ASSIGN_OR_RETURN(fits, outputs.Append(results, batch->size));
    if (!fits) return false;
    labels.insert(labels.end(), batch->labels.begin(), batch->labels.end());
    progress.Advance(batch->size);
  }
  if (data.skipped() > 0)
    return DataError(
        StrCat(data.skipped(), " samples could not be read: exclude them with --names"));
  CommitGroup group;
  RETURN_IF_ERROR(inputs.Commit(written));
  RETURN_IF_ERROR(outputs.Commit(written));
  if (!labels.empty()) {
    written->push_back(options.folder + "/labels.npy");
    const auto count = static_cast<int64_t>(labels.size());
    RETURN_IF_ERROR(io::WriteNpy(Tensor::FromVector<int64_t>({count}, labels), written->back()));
  }
  RETURN_IF_ERROR(group.Finish());
  return true;
}

// A value needs one file per sample if a sample does not continue the rows of the others, which is
// known only when that sample comes.
Status DumpAll(const Options& options, engine::Executor& executor, DataSource& data,
               std::vector<std::string>* written) {
  std::set<std::string> apart;
  for (bool done = false; !done;) {
    ASSIGN_OR_RETURN(done, TryDump(options, executor, data, &apart, written));
  }
  return OkStatus();
}

Status MakeFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return UsageError(StrCat("cannot make folder '", folder, "': ", error.message()));
  return OkStatus();
}

// No output may replace an input.
Status CheckNames(const Options& options, const engine::Executor& executor) {
  // then there is no file in it
  if (!std::filesystem::is_directory(options.folder)) return OkStatus();
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

// One run on whole tensors: outputs of any rank and with any meaning of their first axis.
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
                   std::vector<std::string>* written, int64_t* samples, data::DatasetFacts* facts) {
  recipe::Params params(data::DataSpecs());
  RETURN_IF_ERROR(options.data.Apply(&params));
  ASSIGN_OR_RETURN(const auto data, OpenData(params, {&model}, "--data PATH", facts));
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
  data::DatasetFacts facts;
  if (options.feeds.empty())
    RETURN_IF_ERROR(DumpDataset(options, loaded.model, *executor, &written, &samples, &facts));
  else
    RETURN_IF_ERROR(DumpFeeds(options, *loaded.model.graph, *executor, &written));
  if (console.json)
    console.out << nlohmann::ordered_json{{"samples", samples}, {"files", written}}.dump(
                       2, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
                << "\n";
  else if (!console.quiet)
    console.out << (facts.feeding.empty() ? "" : StrCat("samples ", Printable(facts.feeding), "\n"))
                << "wrote " << Join(written, "\n      ") << "\n";
  return OkStatus();
}

}  // namespace

CommandRun SetupDump(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "ONNX model")->required();
  app.add_option("-o,--output", options->folder, "Folder to write to; it is created if missing")
      ->required()
      ->option_text("DIR");
  app.add_flag("--inputs", options->inputs, "Write the preprocessed inputs, too");
  app.add_option("--feed", options->feeds,
                 "Run once on the whole of this array, instead of data (repeat for each input)")
      ->option_text("NAME=FILE.npy");
  options->data.AddTo(app, "--data");
  app.footer("Example: roundel dump model.onnx --data images/ --preset imagenet --inputs -o dump/");
  return [options](Console& console) { return RunDump(*options, console); };
}

}  // namespace roundel::cmd
