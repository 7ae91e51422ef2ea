// ONNX test_data_set_N folders: input_0.pb, input_1.pb ... in the order of the model's inputs; each
// folder is one batch, fed whole.

#include <filesystem>
#include <utility>

#include "lib/base/interrupt.h"
#include "lib/base/text.h"
#include "lib/data/convert.h"
#include "lib/data/loaders.h"
#include "lib/data/sampling.h"
#include "lib/io/onnx.h"

namespace roundel::data {
namespace {

struct TestSet {
  std::string folder, name;
  int64_t samples = 1;
};

Status CheckShape(const Tensor& tensor, const InputInfo& input) {
  bool fits = input.shape.empty() || input.shape.size() == tensor.shape().size();
  for (size_t i = 0; fits && i < input.shape.size(); ++i)
    fits = input.shape[i] < 0 || input.shape[i] == tensor.shape()[i];
  if (fits) return OkStatus();
  return DataError(StrCat("tensor of shape ", ShapeString(tensor.shape()),
                          " does not fit model input '", input.name, "' of shape ",
                          ShapeString(input.shape)));
}

Result<Tensor> ReadInput(const std::string& path, const InputInfo& input) {
  if (!FileExists(path))
    return DataError(StrCat(path, " for model input '", input.name, "' does not exist"));
  ASSIGN_OR_RETURN(Tensor tensor, io::ReadTensorProto(path));
  Status status = CheckShape(tensor, input);
  if (!status.ok()) return std::move(status).At(path);
  const DType type = input.dtype == DType::kUndefined ? tensor.dtype() : input.dtype;
  if (type == DType::kString && tensor.dtype() == type) return tensor;
  if (!CanConvert(tensor.dtype(), type))
    return DataError(StrCat(path, ": tensor of ", DTypeName(tensor.dtype()),
                            " cannot feed model input '", input.name, "' of ", DTypeName(type)));
  Tensor out = Tensor::Empty(type, tensor.shape());
  status = ConvertElements(tensor.dtype(), tensor.raw(), tensor.size(), type, out.mutable_raw());
  if (!status.ok()) return std::move(status).At(path);
  return out;
}

class TestSetLoader final : public Loader {
 public:
  // `whole`: the tensors' first axis is not the sample axis.
  TestSetLoader(std::vector<TestSet> sets, std::vector<InputInfo> inputs, bool whole)
      : sets_(std::move(sets)), inputs_(std::move(inputs)), whole_(whole) {}

  // Reads every set once, to find errors before the run starts.
  Status CountSamples() {
    for (TestSet& set : sets_) {
      if (Interrupted()) return InterruptedError();
      ASSIGN_OR_RETURN(const std::vector<Tensor> tensors, Read(set));
      // An empty tensor may declare any number of samples: it counts as one.
      if (!whole_ && tensors[0].rank() > 0 && tensors[0].size() > 0)
        set.samples = tensors[0].dim(0);
      samples_ += set.samples;
    }
    return OkStatus();
  }
  int64_t samples() const override { return samples_; }
  int64_t chunks() const override { return static_cast<int64_t>(sets_.size()); }
  Result<Chunk> Load(int64_t chunk) override {
    const TestSet& set = sets_[chunk];
    Chunk out;
    ASSIGN_OR_RETURN(out.batch.inputs, Read(set));
    out.batch.size = set.samples;
    for (int64_t i = 0; i < set.samples; ++i)
      out.batch.sample_names.push_back(set.samples == 1 ? set.name : StrCat(set.name, "[", i, "]"));
    return out;
  }

 private:
  Result<std::vector<Tensor>> Read(const TestSet& set) const {
    std::vector<Tensor> tensors;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const auto path = std::filesystem::path(set.folder) / StrCat("input_", i, ".pb");
      ASSIGN_OR_RETURN(tensors.emplace_back(), ReadInput(path.string(), inputs_[i]));
    }
    return tensors;
  }

  std::vector<TestSet> sets_;
  const std::vector<InputInfo> inputs_;
  const bool whole_;
  int64_t samples_ = 0;
};

}  // namespace

Result<std::unique_ptr<Loader>> OpenTestSets(const Settings& settings,
                                             const std::vector<std::string>& folders,
                                             const std::vector<InputInfo>& inputs,
                                             DatasetFacts* facts) {
  if (!settings.labels.empty()) return UsageError("test_data_set folders have no labels");
  if (!settings.names.empty()) return UsageError("'names' is for folders of files");
  if (settings.normalizes)
    return UsageError("preset, scale, mean and std do not apply to test_data_set folders");
  std::vector<TestSet> sets;
  const auto available = static_cast<int64_t>(folders.size());
  for (int64_t i : ChooseSubset(available, settings.count, settings.seed)) {
    const std::string name = std::filesystem::path(folders[i]).filename().string();
    sets.push_back({folders[i], name});
    facts->samples.push_back(name);
  }
  facts->description = StrCat("ONNX test data of '", settings.path, "', ", sets.size(), " of ",
                              available, " sets, seed ", settings.seed);
  auto loader = std::make_unique<TestSetLoader>(std::move(sets), inputs, settings.whole_files);
  RETURN_IF_ERROR(loader->CountSamples());
  return std::unique_ptr<Loader>(std::move(loader));
}

}  // namespace roundel::data
