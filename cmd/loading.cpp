#include "cmd/loading.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "cmd/options.h"
#include "cmd/synthesized_data.h"
#include "lib/base/hash.h"
#include "lib/base/input_file.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/engine/normal_form.h"
#include "lib/engine/sample_axis.h"
#include "lib/graph/bodies.h"
#include "lib/graph/quantization_ops.h"
#include "lib/graph/unfuse.h"
#include "lib/io/encodings_json.h"
#include "lib/io/onnx.h"

namespace roundel::cmd {
namespace {

// In pieces, so that the pages of a large file do not all stay in memory.
void HashFile(const MappedFile& file, Hasher* hasher) {
  constexpr size_t kPiece = 1 << 22;
  for (size_t at = 0; at < file.bytes().size(); at += kPiece) {
    const auto piece = file.bytes().subspan(at, std::min(kPiece, file.bytes().size() - at));
    hasher->Add(piece.data(), piece.size());
    file.ReleasePages(static_cast<int64_t>(at), static_cast<int64_t>(piece.size()));
  }
}

// A file that cannot be mapped is parsed into memory: at worst the whole file.
Status CheckFits(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) return OkStatus();  // the read reports the error
  return CheckMemory(static_cast<int64_t>(bytes)).At(StrCat("'", path, "'"));
}

Status HashModel(LoadedModel* loaded) {
  ASSIGN_OR_RETURN(const auto file, OpenInput(loaded->path, ErrorKind::kModel));
  Hasher hasher;
  HashFile(*file, &hasher);
  loaded->bytes = static_cast<int64_t>(file->bytes().size());
  for (const graph::Initializer& initializer : loaded->model.graph->initializers()) {
    const Tensor& value = initializer.value;
    // The other tensors have been hashed with the model's file.
    if (!value.mapped_file() || value.mapped_file()->path() == loaded->path) continue;
    hasher.Add(value.bytes().data(), value.bytes().size());
    value.ReleasePages();
    loaded->bytes += value.byte_size();
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

// The rule for the models together.
data::SampleRule SampleRuleOf(const std::vector<const graph::Model*>& models,
                              const std::string& mixing) {
  data::SampleRule rule{.mixing = mixing};
  for (const graph::Model* model : models) {
    const auto judgment = engine::JudgeSamples(*model);
    if (!judgment.ok()) continue;  // running it reports the reason
    if (rule.mixing.empty()) rule.mixing = judgment->reason;
    rule.first_axis_is_sequence |= judgment->first_axis_is_sequence;
  }
  return rule;
}

}  // namespace

Result<LoadedModel> LoadModel(const std::string& path) {
  LoadedModel loaded;
  loaded.path = path;
  RETURN_IF_ERROR(CheckFits(path));
  ASSIGN_OR_RETURN(loaded.model, io::ReadOnnx(path));
  RETURN_IF_ERROR(HashModel(&loaded));
  graph::UnfuseLayers(&loaded.model);
  graph::MakeNamesUnique(&loaded.model);  // encodings refer to names
  loaded.nodes = static_cast<int64_t>(loaded.model.graph->nodes().size());
  return loaded;
}

std::vector<std::string> DataFilesOf(const LoadedModel& loaded) {
  std::set<std::string> files;
  for (const graph::Initializer& initializer : loaded.model.graph->initializers())
    if (const MappedFile* file = initializer.value.mapped_file())
      if (file->path() != loaded.path) files.insert(file->path());
  return {files.begin(), files.end()};
}

Status CheckFloat(const graph::Model& model, const std::string& path) {
  constexpr size_t kShown = 4;
  const std::vector<std::string> ops = graph::QuantizationOps(model);
  if (ops.empty()) return OkStatus();
  const bool only_pairs = std::all_of(ops.begin(), ops.end(), [](const std::string& op) {
    return op == "QuantizeLinear" || op == "DequantizeLinear";
  });
  return ModelError(StrCat(
      "'", path, "' is already quantized (", Join(ops, ", ", kShown),
      "): quantize the float model ",
      only_pairs ? StrCat("that 'roundel export ", path, " --to float -o FLOAT.onnx' makes of it")
                 : "that it was made from",
      ", or give --requantize"));
}

Status CheckRunnable(const graph::Model& model, const std::string& path) {
  constexpr size_t kShown = 5;
  const std::vector<std::string> nodes = engine::UnsupportedNodes(model);
  if (nodes.empty()) return OkStatus();
  return ModelError(StrCat("'", path, "' has ", nodes.size(),
                           nodes.size() == 1 ? " node" : " nodes",
                           " that the engine cannot run: ", Join(nodes, "; ", kShown)));
}

Result<quant::EncodingTable> ReadEncodings(const std::string& text, const std::string& path,
                                           graph::Model* model) {
  auto table = io::ParseEncodingsJson(text, path, *graph::WithBodies(*model));
  const auto is_fed = [&](const auto& entry) {
    return model->graph->IsInput(entry.first) && model->graph->FindInitializer(entry.first);
  };
  if (table.ok() && std::none_of(table->begin(), table->end(), is_fed)) return table;
  graph::Model normal = graph::Clone(*model);
  const auto lines = engine::MakeNormalForm(&normal);
  if (!lines.ok()) return table;
  auto of_normal = io::ParseEncodingsJson(text, path, *graph::WithBodies(normal));
  if (!of_normal.ok()) return table;
  for (const std::string& line : *lines) LogWarning(line);
  *model = std::move(normal);
  return of_normal;
}

Result<std::unique_ptr<DataSource>> OpenData(const recipe::Params& params,
                                             const std::vector<const graph::Model*>& models,
                                             const std::string& flag, data::DatasetFacts* facts,
                                             const std::string& mixing) {
  const graph::Model& model = *models.front();
  if (params.Int("synthesize") > 0) return SynthesizeData(params, model, facts);
  if (params.String("path").empty()) return UsageError(StrCat("no data: give ", flag));
  std::vector<data::InputInfo> inputs;
  for (const std::string& name : RequiredInputs(*model.graph))
    for (const graph::ValueInfo& info : model.graph->inputs)
      if (info.name == name) inputs.push_back({info.name, info.dtype, DataShape(info)});
  return data::OpenDataset(params, inputs, facts, SampleRuleOf(models, mixing));
}

}  // namespace roundel::cmd
