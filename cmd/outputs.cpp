#include "cmd/outputs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>

#include "lib/base/text.h"
#include "lib/graph/bodies.h"
#include "lib/io/encodings_json.h"

namespace roundel::cmd {
namespace {

namespace fs = std::filesystem;

Status CheckOutput(const std::string& path, const std::vector<std::string>& inputs) {
  if (path.empty()) return UsageError("the output path is empty");
  const fs::path parent = fs::path(path).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
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
  return OkStatus();
}

Status CheckExternalData(const std::string& input_model, const std::string& output_model) {
  const std::string data = output_model + ".data";
  std::error_code error;
  const auto folder = [](const std::string& path) {
    const fs::path parent = fs::path(path).parent_path();
    return parent.empty() ? fs::path(".") : parent;
  };
  if (!FileExists(data) || !fs::equivalent(folder(input_model), folder(data), error))
    return OkStatus();
  ASSIGN_OR_RETURN(const auto file, MappedFile::Open(input_model));
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
                                 const std::vector<std::string>& versions) {
  const std::vector<std::string> paths = EncodingsPaths(model_path, versions);
  for (size_t i = 0; i < paths.size(); ++i) {
    ASSIGN_OR_RETURN(const std::string json, io::EncodingsJson(table, versions[i], &graph));
    RETURN_IF_ERROR(Stage(paths[i], json));
  }
  return OkStatus();
}

Status OutputSet::Commit(const std::vector<ModelFile>& models,
                         const io::OnnxWriteOptions& options) {
  // What fits comfortably into memory a second time is staged like the texts.
  constexpr int64_t kStageable = int64_t{512} << 20;
  std::vector<ModelFile> large;
  for (const ModelFile& file : models) {
    if (options.external_data || InitializerBytes(file.model) > kStageable) {
      large.push_back(file);
      continue;
    }
    ASSIGN_OR_RETURN(const std::string bytes, io::SerializeOnnx(file.model));
    RETURN_IF_ERROR(Stage(file.path, bytes));
  }
  for (const ModelFile& file : large)
    RETURN_IF_ERROR(io::WriteOnnx(file.model, file.path, options));
  for (const auto& file : files_) RETURN_IF_ERROR(file->Commit());
  files_.clear();
  return OkStatus();
}

}  // namespace roundel::cmd
