// Folders of images: decoded, resized, cropped and normalized sample by sample.

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <utility>

#include "lib/base/interrupt.h"
#include "lib/base/text.h"
#include "lib/data/image_plan.h"
#include "lib/data/loaders.h"
#include "lib/data/normalizer.h"
#include "lib/data/sampling.h"
#include "lib/io/images/image.h"

namespace roundel::data {
namespace {

// Prepared pixels that are kept for later sweeps: about 440 images of 224x224, more than most
// calibration sets have.
constexpr int64_t kCacheBytes = 64 << 20;

class ImageLoader final : public Loader {
 public:
  ImageLoader(const Settings& settings, const ImageInput& input, std::string input_name,
              Normalizer normalizer, DType type, int64_t batch)
      : settings_(settings),
        input_(input),
        input_name_(std::move(input_name)),
        normalizer_(std::move(normalizer)),
        type_(type),
        batch_(batch) {}

  int64_t samples() const override { return static_cast<int64_t>(names_.size()); }
  int64_t chunks() const override { return (samples() + batch_ - 1) / batch_; }
  Result<Chunk> Load(int64_t chunk) override;

  void SetSamples(std::string folder, std::vector<std::string> names, std::vector<int64_t> labels) {
    folder_ = std::move(folder);
    names_ = std::move(names);
    labels_ = std::move(labels);
    cache_.resize(names_.size());
  }
  // The first readable image sets the size that all others must have.
  Status FixSize();

 private:
  // A file that cannot be read, as opposed to an image that does not fit.
  struct Unreadable {
    Status reason;
  };
  Result<io::Image> Prepared(int64_t sample, Unreadable* unreadable);
  Status CheckSize(int64_t sample, const io::Image& image) const;

  const Settings settings_;
  const ImageInput input_;
  const std::string input_name_;
  const Normalizer normalizer_;
  const DType type_;
  const int64_t batch_;
  std::string folder_;
  std::vector<std::string> names_;
  std::vector<int64_t> labels_;
  int height_ = 0, width_ = 0;  // of every prepared image
  std::string first_name_;
  // A slot belongs to the thread that loads its chunk; sweeps do not overlap.
  std::vector<io::Image> cache_;
  std::atomic<int64_t> cache_left_ = kCacheBytes;
};

Result<io::Image> ImageLoader::Prepared(int64_t sample, Unreadable* unreadable) {
  if (cache_[sample].width > 0) return cache_[sample];
  const std::string path = (std::filesystem::path(folder_) / names_[sample]).string();
  Result<io::Image> image = io::ReadImage(path);
  if (!image.ok()) {
    unreadable->reason = image.status();
    return image;
  }
  image = PrepareImage(std::move(image).value(), settings_, input_, input_name_);
  if (!image.ok()) return std::move(image).status().At(path);
  const auto bytes = static_cast<int64_t>(image->pixels.size());
  if (cache_left_.fetch_sub(bytes) >= bytes) {
    cache_[sample] = *image;
  } else {
    cache_left_.fetch_add(bytes);
  }
  return image;
}

Status ImageLoader::CheckSize(int64_t sample, const io::Image& image) const {
  if (image.height == height_ && image.width == width_) return OkStatus();
  return DataError(StrCat("'", first_name_, "' is ", height_, "x", width_, ", but '",
                          names_[sample], "' is ", image.height, "x", image.width,
                          " (HxW): set resize and crop so that all images get one size"));
}

Status ImageLoader::FixSize() {
  Status last;
  for (int64_t sample = 0; sample < samples(); ++sample) {
    if (Interrupted()) return InterruptedError();
    Unreadable unreadable;
    const Result<io::Image> image = Prepared(sample, &unreadable);
    if (image.ok()) {
      height_ = image->height;
      width_ = image->width;
      first_name_ = names_[sample];
      return OkStatus();
    }
    last = image.status();
    if (unreadable.reason.ok() || settings_.strict) return last;
  }
  return DataError(
      StrCat("no readable image in '", folder_, "'; the last error: ", last.message()));
}

Result<Chunk> ImageLoader::Load(int64_t chunk) {
  const int64_t begin = chunk * batch_, end = std::min(samples(), begin + batch_);
  Chunk out;
  std::vector<io::Image> images;
  for (int64_t sample = begin; sample < end; ++sample) {
    if (Interrupted()) return InterruptedError();
    Unreadable unreadable;
    Result<io::Image> image = Prepared(sample, &unreadable);
    if (!image.ok()) {
      if (unreadable.reason.ok() || settings_.strict || image.status().kind() != ErrorKind::kData)
        return std::move(image).status();
      out.skipped.push_back(image.status().message());
      continue;
    }
    RETURN_IF_ERROR(CheckSize(sample, *image));
    images.push_back(std::move(image).value());
    out.batch.sample_names.push_back(names_[sample]);
    if (!labels_.empty()) out.batch.labels.push_back(labels_[sample]);
  }
  out.batch.size = static_cast<int64_t>(images.size());
  Shape shape = input_.SampleShape(height_, width_);
  const int64_t bytes = ByteSize(type_, NumElements(shape));
  shape.insert(shape.begin(), out.batch.size);
  Tensor tensor = Tensor::Empty(type_, shape);
  auto* to = static_cast<std::byte*>(tensor.mutable_raw());
  for (int64_t i = 0; i < out.batch.size; ++i)
    normalizer_.Apply(images[i].pixels.data(), Layout::kNhwc, int64_t{height_} * width_,
                      to + i * bytes, input_.layout);
  out.batch.inputs.push_back(std::move(tensor));
  return out;
}

}  // namespace

Result<std::unique_ptr<Loader>> OpenImages(const Settings& settings, const FileChoice& choice,
                                           const std::vector<InputInfo>& inputs,
                                           DatasetFacts* facts) {
  ASSIGN_OR_RETURN(const auto keys, KeysOfInputs(settings, inputs));
  if (inputs.size() != 1)
    return UsageError(StrCat("images feed one model input, but the model has ", inputs.size(),
                             "; give its data as .npz with the input names as keys, or as "
                             "test_data_set folders"));
  if (settings.array_layout != Layout::kAuto)
    return UsageError("'array_layout' is for .npy and .npz data, not for images");
  ASSIGN_OR_RETURN(const ImageInput input, FindImageAxes(inputs[0], settings.layout));
  ASSIGN_OR_RETURN(const DType type, FedType(settings, inputs[0]));
  ASSIGN_OR_RETURN(Normalizer normalizer, Normalizer::Create(settings, input.channels, type));

  const auto available = static_cast<int64_t>(choice.files.size());
  std::vector<std::string> names;
  for (int64_t i : ChooseSubset(available, settings.count, settings.seed))
    names.push_back(choice.files[i]);
  std::vector<int64_t> labels;
  if (!settings.labels.empty()) {
    ASSIGN_OR_RETURN(labels, FileLabels(settings, names, choice.all_files));
  }
  facts->samples = names;
  facts->has_labels = !labels.empty();
  facts->description = StrCat("images of '", settings.path, "', ", names.size(), " of ", available,
                              ", seed ", settings.seed);
  auto loader =
      std::make_unique<ImageLoader>(settings, input, inputs[0].name, std::move(normalizer), type,
                                    ChooseBatchSize(settings, inputs).size);
  loader->SetSamples(choice.folder, std::move(names), std::move(labels));
  RETURN_IF_ERROR(loader->FixSize());
  return std::unique_ptr<Loader>(std::move(loader));
}

}  // namespace roundel::data
