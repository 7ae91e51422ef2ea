#include "cmd/outputs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>

#include "lib/base/commit_group.h"
#include "lib/base/file.h"
#include "lib/base/input_file.h"
#include "lib/base/text.h"
#include "lib/graph/bodies.h"
#include "lib/io/encodings_json.h"

namespace roundel::cmd {
namespace {

namespace fs = std::filesystem;

// Two outputs must not be one file, by their names or by links.
Status CheckPair(const std::string& first, const std::string& second) {
  const auto place = [](const std::string& path) {
    std::error_code error;
    return fs::weakly_canonical(FolderOf(path), error) / fs::path(path).filename();
  };
  std::error_code error;
  if (place(first) != place(second) && !fs::equivalent(first, second, error)) return OkStatus();
  return UsageError(
      first == second ? StrCat("two outputs are called '", first, "'; choose another name for one")
                      : StrCat("outputs '", first, "' and '", second,
                               "' are the same file; choose another name for one"));
}

Status CheckOutput(const std::string& path, const std::vector<std::string>& inputs) {
  if (path.empty()) return UsageError("the output path is empty");
  const std::string folder = FolderOf(path);
  struct stat info {};
  if (stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    return UsageError(StrCat("cannot write '", path, "': there is no folder '", folder, "'"));
  if (access(folder.c_str(), W_OK) != 0)
    return UsageError(StrCat("cannot write '", path, "': folder '", folder, "' is read-only"));
  if (stat(path.c_str(), &info) != 0) return OkStatus();
  if (S_ISDIR(info.st_mode)) return UsageError(StrCat("'", path, "' is a folder, not a file name"));
  if (!S_ISREG(info.st_mode)) return UsageError(StrCat("'", path, "' is not a regular file"));
  for (const std::string& input : inputs) {
    struct stat other {};
    if (input.empty() || stat(input.c_str(), &other) != 0) continue;
    if (other.st_dev == info.st_dev && other.st_ino == info.st_ino)
      return UsageError(StrCat("output '", path, "' is the same file as input '", input,
                               "'; choose another name"));
  }
  return OkStatus();
}

}  // namespace

int64_t InitializerBytes(const graph::Model& model) {
  int64_t bytes = 0;
  const std::shared_ptr<graph::Graph> graph = graph::WithBodies(model);
  for (const graph::Initializer& initializer : graph->initializers())
    if (initializer.value.dtype() != DType::kString) bytes += initializer.value.byte_size();
  return bytes;
}

std::string Beside(const std::string& model_path, const std::string& suffix) {
  const std::string stem =
      model_path.ends_with(".onnx") ? model_path.substr(0, model_path.size() - 5) : model_path;
  return stem + suffix;
}

std::vector<std::string> EncodingsPaths(const std::string& model_path,
                                        const std::vector<std::string>& versions) {
  if (versions.size() == 1) return {Beside(model_path, ".encodings.json")};
  std::vector<std::string> paths;
  for (const std::string& version : versions)
    paths.push_back(Beside(model_path, StrCat(".encodings-", version, ".json")));
  return paths;
}

Status CheckOutputs(const std::vector<std::string>& outputs,
                    const std::vector<std::string>& inputs) {
  for (const std::string& output : outputs) RETURN_IF_ERROR(CheckOutput(output, inputs));
  for (size_t i = 0; i < outputs.size(); ++i)
    for (size_t k = 0; k < i; ++k) RETURN_IF_ERROR(CheckPair(outputs[k], outputs[i]));
  for (const std::string& output : outputs)
    RemoveLeftovers(FolderOf(output), fs::path(output).filename().string());
  return OkStatus();
}

Status CheckExternalData(const std::string& input_model, const std::string& output_model) {
  const std::string data = output_model + ".data";
  std::error_code error;
  if (!FileExists(data) || !fs::equivalent(FolderOf(input_model), FolderOf(data), error))
    return OkStatus();
  ASSIGN_OR_RETURN(const auto file, OpenInput(input_model, ErrorKind::kModel));
  const std::string_view bytes(reinterpret_cast<const char*>(file->bytes().data()),
                               file->bytes().size());
  if (bytes.find(fs::path(data).filename().string()) == std::string_view::npos) return OkStatus();
  return UsageError(StrCat("'", data, "' holds weights of the input '", input_model,
                           "' and would be replaced; choose another name"));
}

Status OutputSet::Stage(const std::string& path, const std::string& contents) {
  ASSIGN_OR_RETURN(auto file, AtomicFile::Create(path));
  RETURN_IF_ERROR(file->Write(contents));
  files_.push_back(std::move(file));
  return OkStatus();
}

Status OutputSet::StageEncodings(const quant::EncodingTable& table, const graph::Graph& graph,
                                 const std::string& model_path,
                                 const std::vector<std::string>& versions,
                                 const io::EncodingsOrigin* origin) {
  const std::vector<std::string> paths = EncodingsPaths(model_path, versions);
  for (size_t i = 0; i < paths.size(); ++i) {
    ASSIGN_OR_RETURN(const std::string json, io::EncodingsJson(table, versions[i], &graph, origin));
    RETURN_IF_ERROR(Stage(paths[i], json));
  }
  return OkStatus();
}

Status OutputSet::Commit(const std::vector<ModelFile>& models,
                         const io::OnnxWriteOptions& options) {
  CommitGroup group;
  for (const ModelFile& file : models)
    RETURN_IF_ERROR(io::WriteOnnx(file.model, file.path, options));
  for (const auto& file : files_) RETURN_IF_ERROR(file->Commit());
  files_.clear();
  return group.Finish();
}

}  // namespace roundel::cmd
