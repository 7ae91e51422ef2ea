// .npy and .npz files: samples along their first axis, or one sample per file. Arrays stay mapped
// if possible; each batch converts its rows.

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <utility>

#include "lib/base/interrupt.h"
#include "lib/base/text.h"
#include "lib/data/array_rows.h"
#include "lib/data/loaders.h"
#include "lib/data/sampling.h"
#include "lib/io/npy.h"

namespace roundel::data {
namespace {

// Limits on arrays that stay open between batches: the system limits mappings (65530 by default),
// memory limits inflated or converted arrays.
constexpr size_t kHeldFiles = 4096;
constexpr int64_t kHeldBytes = 256 << 20;
// Maximum number of samples: each has a name and an index, so that tiny rows could exhaust memory.
constexpr int64_t kMaxSamples = 10'000'000;

using Arrays = std::vector<Tensor>;  // by model input

struct ArrayFile {
  std::string path, name;
  int64_t first_sample = 0, samples = 0;
  std::vector<ArrayRows> rows;  // by model input
  std::vector<std::pair<DType, Shape>> stored;
  std::shared_ptr<const Arrays> held;  // null: read again when needed
};

std::string ArrayKeys(const io::NamedTensors& arrays) {
  std::vector<std::string> keys;
  for (const auto& [key, tensor] : arrays) keys.push_back(key);
  return Join(keys, ", ", 10);
}

// A .npy counts as an archive of one array.
Result<io::NamedTensors> ReadArrayFile(const std::string& path) {
  if (HasExtension(path, {".npz"})) return io::ReadNpz(path);
  ASSIGN_OR_RETURN(Tensor tensor, io::ReadNpy(path));
  io::NamedTensors arrays;
  arrays.emplace_back("", std::move(tensor));
  return arrays;
}

const Tensor* FindArray(const io::NamedTensors& arrays, const std::string& key) {
  for (const auto& [name, tensor] : arrays)
    if (name == key) return &tensor;
  return nullptr;
}

class ArrayLoader final : public Loader {
 public:
  ArrayLoader(const Settings& settings, std::vector<InputInfo> inputs,
              std::vector<std::string> keys)
      : settings_(settings), inputs_(std::move(inputs)), keys_(std::move(keys)) {}

  Status AddFile(const std::string& path, const std::string& name);
  Status Choose(DatasetFacts* facts, const std::vector<std::string>& all_files);

  int64_t samples() const override { return static_cast<int64_t>(chosen_.size()); }
  int64_t chunks() const override { return static_cast<int64_t>(chunk_begin_.size()) - 1; }
  Result<Chunk> Load(int64_t chunk) override;

 private:
  Result<Arrays> Select(const io::NamedTensors& arrays) const;
  Result<std::shared_ptr<const Arrays>> ArraysOf(size_t file);
  Result<std::vector<int64_t>> Labels(const std::vector<std::string>& all_files) const;
  size_t FileOf(int64_t sample) const;
  std::string NameOf(int64_t sample) const;
  bool CanShareBatch(size_t a, size_t b) const;
  void MakeChunks();
  Status CheckSettings() const;

  const Settings settings_;
  const std::vector<InputInfo> inputs_;
  const std::vector<std::string> keys_;
  std::vector<ArrayFile> files_;
  int64_t available_ = 0, held_bytes_ = 0;
  std::vector<int64_t> chosen_, labels_;  // labels of the chosen
  std::vector<int64_t> chunk_begin_;      // into chosen_, and its end
  Tensor label_array_;                    // of a .npz, if settings.labels names it

  std::mutex mutex_;
  size_t last_file_ = 0;  // guarded, like the next one: the last file that is not held
  std::shared_ptr<const Arrays> last_arrays_;
};

Result<Arrays> ArrayLoader::Select(const io::NamedTensors& arrays) const {
  const bool is_npy = arrays.size() == 1 && arrays[0].first.empty();
  if (is_npy && inputs_.size() > 1)
    return DataError(StrCat("a .npy feeds one model input, but the model has ", inputs_.size(),
                            "; use .npz with the input names as keys"));
  Arrays selected;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const bool named = !keys_[i].empty();
    const std::string& key = named ? keys_[i] : inputs_[i].name;
    const Tensor* array = FindArray(arrays, key);
    // A single array needs no name.
    const bool single = arrays.size() == 1 && inputs_.size() == 1;
    if (array == nullptr && single && (is_npy || !named)) array = &arrays[0].second;
    if (array == nullptr)
      return DataError(StrCat("no array '", key, "' for model input '", inputs_[i].name, "' among ",
                              ArrayKeys(arrays), "; set input: ", inputs_[i].name, "=KEY"));
    selected.push_back(*array);
  }
  return selected;
}

Status ArrayLoader::AddFile(const std::string& path, const std::string& name) {
  ASSIGN_OR_RETURN(const io::NamedTensors read, ReadArrayFile(path));
  Result<Arrays> arrays = Select(read);
  if (!arrays.ok()) return std::move(arrays).status().At(path);
  if (const Tensor* labels = FindArray(read, settings_.labels);
      labels != nullptr && !settings_.labels.empty())
    label_array_ = *labels;
  ArrayFile file{path, name, available_};
  bool counted = false;
  int64_t bytes = 0;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Tensor& array = (*arrays)[i];
    Result<ArrayRows> rows = ArrayRows::Plan(array, inputs_[i], settings_);
    if (!rows.ok()) return std::move(rows).status().At(path);
    if (!rows->is_scalar()) {
      if (counted && rows->samples() != file.samples)
        return DataError(StrCat(path, ": array for '", inputs_[i].name, "' has ", rows->samples(),
                                " samples, others have ", file.samples));
      file.samples = rows->samples();
      counted = true;
    }
    file.rows.push_back(std::move(rows).value());
    file.stored.emplace_back(array.dtype(), array.shape());
    bytes += array.is_mapped() ? 0 : array.byte_size();
  }
  if (!counted) return DataError(StrCat(path, ": no array with a sample axis"));
  if (files_.size() < kHeldFiles && (files_.empty() || held_bytes_ + bytes <= kHeldBytes)) {
    file.held = std::make_shared<const Arrays>(std::move(arrays).value());
    held_bytes_ += bytes;
  }
  available_ += file.samples;
  if (available_ > kMaxSamples)
    return DataError(StrCat(path, ": more than ", kMaxSamples, " samples along the first axis"));
  files_.push_back(std::move(file));
  return OkStatus();
}

Result<std::shared_ptr<const Arrays>> ArrayLoader::ArraysOf(size_t index) {
  const ArrayFile& file = files_[index];
  if (file.held != nullptr) return file.held;
  const std::lock_guard lock(mutex_);
  if (last_arrays_ != nullptr && last_file_ == index) return last_arrays_;
  ASSIGN_OR_RETURN(const io::NamedTensors read, ReadArrayFile(file.path));
  ASSIGN_OR_RETURN(Arrays arrays, Select(read));
  for (size_t i = 0; i < arrays.size(); ++i)
    if (std::pair(arrays[i].dtype(), arrays[i].shape()) != file.stored[i])
      return DataError(StrCat(file.path, ": the file has changed while it was in use"));
  last_arrays_ = std::make_shared<const Arrays>(std::move(arrays));
  last_file_ = index;
  return last_arrays_;
}

size_t ArrayLoader::FileOf(int64_t sample) const {
  const auto after = std::upper_bound(files_.begin(), files_.end(), sample,
                                      [](int64_t value, const ArrayFile& file) {
                                        return value < file.first_sample + file.samples;
                                      });
  return static_cast<size_t>(after - files_.begin());
}

std::string ArrayLoader::NameOf(int64_t sample) const {
  const ArrayFile& file = files_[FileOf(sample)];
  return file.samples == 1 ? file.name : StrCat(file.name, "[", sample - file.first_sample, "]");
}

bool ArrayLoader::CanShareBatch(size_t a, size_t b) const {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const ArrayRows &left = files_[a].rows[i], &right = files_[b].rows[i];
    if (left.is_whole() || (a != b && !left.CanJoin(right))) return false;
  }
  return true;
}

void ArrayLoader::MakeChunks() {
  const int64_t batch = ChooseBatchSize(settings_, inputs_).size;
  chunk_begin_ = {0};
  for (int64_t i = 1; i < samples(); ++i)
    if (i - chunk_begin_.back() == batch ||
        !CanShareBatch(FileOf(chosen_[i - 1]), FileOf(chosen_[i])))
      chunk_begin_.push_back(i);
  chunk_begin_.push_back(samples());
}

Result<std::vector<int64_t>> ArrayLoader::Labels(const std::vector<std::string>& all_files) const {
  if (label_array_.defined()) return LabelsFromTensor(settings_, label_array_, available_);
  if (settings_.labels != "prefix" && settings_.labels != "folder")
    return ArrayLabels(settings_, available_);
  std::vector<std::string> names;
  for (const ArrayFile& file : files_) names.push_back(file.name);
  ASSIGN_OR_RETURN(const auto file_labels, FileLabels(settings_, names, all_files));
  std::vector<int64_t> labels;
  for (size_t i = 0; i < files_.size(); ++i)
    labels.insert(labels.end(), static_cast<size_t>(files_[i].samples), file_labels[i]);
  return labels;
}

Status ArrayLoader::CheckSettings() const {
  const auto fixed = [](const SizeRule& rule) {
    return rule.kind == SizeRule::Kind::kSide || rule.kind == SizeRule::Kind::kExact;
  };
  if (fixed(settings_.resize) || fixed(settings_.crop))
    return UsageError("'resize' and 'crop' are for image files, not for arrays");
  const auto has_pixels = [](const ArrayRows& rows) { return rows.has_pixels(); };
  for (const ArrayFile& file : files_)
    if ((settings_.normalizes || settings_.bgr) &&
        std::none_of(file.rows.begin(), file.rows.end(), has_pixels))
      return UsageError(StrCat(file.path, " holds ", DTypeName(file.stored[0].first),
                               "; preset, scale, mean, std and channel_order apply to uint8 "
                               "arrays, others are fed unchanged"));
  return OkStatus();
}

Status ArrayLoader::Choose(DatasetFacts* facts, const std::vector<std::string>& all_files) {
  RETURN_IF_ERROR(CheckSettings());
  if (available_ == 0) return DataError(StrCat("'", settings_.path, "' holds no samples"));
  chosen_ = ChooseSubset(available_, settings_.count, settings_.seed);
  if (!settings_.labels.empty()) {
    ASSIGN_OR_RETURN(const auto labels, Labels(all_files));
    for (int64_t sample : chosen_) labels_.push_back(labels[sample]);
  }
  for (int64_t sample : chosen_) facts->samples.push_back(NameOf(sample));
  facts->has_labels = !labels_.empty();
  facts->description = StrCat("arrays of '", settings_.path, "', ", samples(), " of ", available_,
                              ", seed ", settings_.seed);
  MakeChunks();
  return OkStatus();
}

Result<Chunk> ArrayLoader::Load(int64_t chunk) {
  const int64_t begin = chunk_begin_[chunk], end = chunk_begin_[chunk + 1];
  const std::vector<ArrayRows>& plan = files_[FileOf(chosen_[begin])].rows;
  Chunk out;
  out.batch.size = end - begin;
  std::vector<std::byte*> to;
  for (const ArrayRows& rows : plan) {
    out.batch.inputs.push_back(Tensor::Empty(rows.type(), rows.FedShape(end - begin)));
    to.push_back(static_cast<std::byte*>(out.batch.inputs.back().mutable_raw()));
  }
  for (int64_t i = begin; i < end; ++i) {
    if (Interrupted()) return InterruptedError();
    const size_t index = FileOf(chosen_[i]);
    const ArrayFile& file = files_[index];
    ASSIGN_OR_RETURN(const auto arrays, ArraysOf(index));
    for (size_t k = 0; k < plan.size(); ++k) {
      const ArrayRows& rows = file.rows[k];
      const int64_t row = rows.is_scalar() ? 0 : chosen_[i] - file.first_sample;
      Status status = rows.Read((*arrays)[k], row, to[k]);
      if (!status.ok()) return std::move(status).At(NameOf(chosen_[i]));
      if (!rows.is_scalar()) to[k] += ByteSize(rows.type(), rows.sample_elements());
    }
    out.batch.sample_names.push_back(NameOf(chosen_[i]));
    if (!labels_.empty()) out.batch.labels.push_back(labels_[i]);
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<Loader>> OpenArrays(const Settings& settings, const FileChoice& choice,
                                           const std::vector<InputInfo>& inputs,
                                           DatasetFacts* facts) {
  ASSIGN_OR_RETURN(auto keys, KeysOfInputs(settings, inputs));
  auto loader = std::make_unique<ArrayLoader>(settings, inputs, std::move(keys));
  for (const std::string& name : choice.files) {
    if (Interrupted()) return InterruptedError();
    RETURN_IF_ERROR(loader->AddFile((std::filesystem::path(choice.folder) / name).string(), name));
  }
  RETURN_IF_ERROR(loader->Choose(facts, choice.all_files));
  return std::unique_ptr<Loader>(std::move(loader));
}

}  // namespace roundel::data
