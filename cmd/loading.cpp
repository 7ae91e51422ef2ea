#include "cmd/loading.h"

#include <filesystem>

#include "cmd/options.h"
#include "lib/base/file.h"
#include "lib/base/hash.h"
#include "lib/base/limits.h"
#include "lib/base/text.h"
#include "lib/io/onnx.h"

namespace roundel::cmd {
namespace {

// A file is parsed into memory as a whole; its external data is not.
Status CheckFits(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) return OkStatus();  // reading it says what is wrong
  return CheckMemory(static_cast<int64_t>(bytes)).At(StrCat("'", path, "'"));
}

Status HashModel(LoadedModel* loaded) {
  ASSIGN_OR_RETURN(const auto file, MappedFile::Open(loaded->path));
  Hasher hasher;
  hasher.Add(file->bytes().data(), file->bytes().size());
  loaded->bytes = static_cast<int64_t>(file->bytes().size());
  for (const graph::Initializer& initializer : loaded->model.graph->initializers()) {
    if (!initializer.value.is_mapped()) continue;
    hasher.Add(initializer.value.raw(), static_cast<size_t>(initializer.value.byte_size()));
    loaded->bytes += initializer.value.byte_size();
    initializer.value.ReleasePages();
  }
  loaded->hash = hasher.Hex();
  return OkStatus();
}

std::vector<int64_t> DataShape(const graph::ValueInfo& info) {
  std::vector<int64_t> shape;
  if (info.shape)
    for (const graph::Dim& dim : *info.shape) shape.push_back(dim.value.value_or(-1));
  return shape;
}

}  // namespace

Result<LoadedModel> LoadModel(const std::string& path) {
  LoadedModel loaded;
  loaded.path = path;
  RETURN_IF_ERROR(CheckFits(path));
  ASSIGN_OR_RETURN(loaded.model, io::ReadOnnx(path));
  RETURN_IF_ERROR(HashModel(&loaded));
  loaded.nodes = static_cast<int64_t>(loaded.model.graph->nodes().size());
  return loaded;
}

Status CheckRunnable(const graph::Model& model, const std::string& path) {
  constexpr size_t kShown = 5;
  const std::vector<std::string> nodes = engine::UnsupportedNodes(model);
  if (nodes.empty()) return OkStatus();
  return ModelError(StrCat("'", path, "' has ", nodes.size(),
                           nodes.size() == 1 ? " node" : " nodes",
                           " that the engine cannot run: ", Join(nodes, "; ", kShown)));
}

Result<std::unique_ptr<engine::DataSource>> OpenData(const recipe::Params& params,
                                                     const graph::Model& model,
                                                     const std::string& flag,
                                                     data::DatasetFacts* facts) {
  if (params.String("path").empty()) return UsageError(StrCat("no data: give ", flag));
  std::vector<data::InputInfo> inputs;
  for (const std::string& name : RequiredInputs(*model.graph))
    for (const graph::ValueInfo& info : model.graph->inputs)
      if (info.name == name) inputs.push_back({info.name, info.dtype, DataShape(info)});
  return data::OpenDataset(params, inputs, facts);
}

}  // namespace roundel::cmd
