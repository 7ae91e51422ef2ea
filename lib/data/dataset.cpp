#include "lib/data/dataset.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>
#include <utility>

#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/data/image_plan.h"
#include "lib/data/loaders.h"
#include "lib/data/sampling.h"
#include "lib/data/settings.h"
#include "lib/data/stream.h"
#include "lib/data/views.h"

namespace roundel::data {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kImageExtensions = {".jpg", ".jpeg", ".png"};
const std::vector<std::string> kArrayExtensions = {".npy", ".npz"};

bool IsFolder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// test_data_set_* folders in `folder`, in the order of their numbers; or `folder` itself if it is
// one.
Result<std::vector<std::string>> FindTestSets(const std::string& folder) {
  constexpr std::string_view kPrefix = "test_data_set_";
  if (FileExists((fs::path(folder) / "input_0.pb").string()))
    return std::vector<std::string>{folder};
  std::vector<std::pair<int64_t, std::string>> numbered;
  std::error_code error;
  auto entry = fs::directory_iterator(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(kPrefix) || !IsFolder(entry->path())) continue;
    int64_t number = 0;
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
    numbered.emplace_back(number, entry->path().string());
  }
  if (error) return DataError(StrCat("cannot list '", folder, "': ", error.message()));
  std::sort(numbered.begin(), numbered.end());
  std::vector<std::string> folders;
  for (auto& [number, path] : numbered) folders.push_back(std::move(path));
  return folders;
}

enum class DataKind { kImages, kArrays };

// Images take precedence if a folder holds both (labels are often stored there as .npy).
Result<DataKind> ChooseFiles(const Settings& settings, FileChoice* choice) {
  if (!IsFolder(settings.path)) {
    const fs::path path = settings.path;
    choice->folder = path.parent_path().string();
    choice->files = choice->all_files = {path.filename().string()};
    if (!settings.names.empty()) return UsageError("'names' needs a folder as path");
    if (HasExtension(settings.path, kImageExtensions)) return DataKind::kImages;
    if (HasExtension(settings.path, kArrayExtensions)) return DataKind::kArrays;
    return UsageError(
        StrCat("'", settings.path, "' is neither a folder nor a .npy, .npz, JPEG or PNG file"));
  }
  choice->folder = settings.path;
  DataKind kind = DataKind::kImages;
  ASSIGN_OR_RETURN(choice->all_files, ListFiles(settings.path, kImageExtensions));
  if (choice->all_files.empty()) {
    kind = DataKind::kArrays;
    ASSIGN_OR_RETURN(choice->all_files, ListFiles(settings.path, kArrayExtensions));
  }
  if (choice->all_files.empty())
    return DataError(
        StrCat("no .jpg, .jpeg, .png, .npy or .npz file and no test_data_set_* folder in '",
               settings.path, "'"));
  choice->files = choice->all_files;
  if (settings.names.empty()) return kind;
  ASSIGN_OR_RETURN(choice->files, ReadNames(settings.names, settings.path));
  // Listed files may be elsewhere or have other extensions; the classes are counted over all.
  for (const std::string& name : choice->files)
    if (!std::binary_search(choice->all_files.begin(), choice->all_files.end(), name))
      choice->all_files.insert(
          std::lower_bound(choice->all_files.begin(), choice->all_files.end(), name), name);
  return kind;
}

Result<std::unique_ptr<Loader>> OpenLoader(const Settings& settings,
                                           const std::vector<InputInfo>& inputs,
                                           DatasetFacts* facts, bool* rebatch) {
  if (settings.path.empty()) return UsageError("no data: give the path of a folder or file");
  if (!FileExists(settings.path))
    return DataError(StrCat("data path '", settings.path, "' does not exist"));
  if (inputs.empty()) return DataError("the model has no inputs that data could feed");
  if (IsFolder(settings.path)) {
    ASSIGN_OR_RETURN(const auto folders, FindTestSets(settings.path));
    if (!folders.empty()) {
      *rebatch = false;
      facts->feeding.clear();  // every folder is one run
      return OpenTestSets(settings, folders, inputs, facts);
    }
  }
  FileChoice choice;
  ASSIGN_OR_RETURN(const DataKind kind, ChooseFiles(settings, &choice));
  return kind == DataKind::kImages ? OpenImages(settings, choice, inputs, facts)
                                   : OpenArrays(settings, choice, inputs, facts);
}

// Whether the inputs' first axes cannot all be the same batch: [1, T, 12] and a state [2, 1, 8].
bool FirstAxesDiffer(const std::vector<InputInfo>& inputs) {
  std::set<int64_t> sizes;
  for (const InputInfo& input : inputs)
    if (!input.shape.empty()) sizes.insert(input.shape[0]);
  return sizes.size() > 1 && *sizes.rbegin() > 1;
}

// Decides what one sample is and whether several are fed at once.
void ChooseFeeding(const std::vector<InputInfo>& inputs, const SampleRule& rule, Settings* settings,
                   DatasetFacts* facts) {
  const bool differ = FirstAxesDiffer(inputs);
  const bool by_model =
      settings->sample == SampleUnit::kAuto && (differ || rule.first_axis_is_sequence);
  settings->whole_files = by_model || settings->sample == SampleUnit::kFile;
  const BatchSize batch = ChooseBatchSize(*settings, inputs);
  std::string why;
  if (settings->whole_files) {
    why = differ ? "the inputs' first axes differ"
                 : StrCat(rule.mixing, " runs along the first axis");
    facts->feeding =
        StrCat("a file each", by_model ? StrCat(", since ", why, " (sample=row: rows)") : "");
    if (!by_model) why = "sample=file is set";
  } else {
    if (rule.mixing.empty() || batch.fixed || batch.size == 1) return;
    why = StrCat(rule.mixing, " may mix the samples of a batch");
    const bool stack = settings->sample == SampleUnit::kStack;
    facts->feeding = StrCat(stack ? "stacked although " : "one at a time, since ", why);
    if (stack) return;
  }
  if (settings->batch > 1)
    LogWarning(StrCat("batch: samples are fed one at a time, not ", settings->batch,
                      " at once, since ", why, "; sample=stack overrides this"));
  settings->batch = 1;
}

// Errors: kUsage if no input holds images.
Result<std::unique_ptr<DataSource>> WithViews(const Settings& settings,
                                              const std::vector<InputInfo>& inputs,
                                              std::unique_ptr<DataSource> source) {
  if (settings.views == 1) return source;
  std::vector<std::optional<Layout>> layouts;
  bool any = false;
  for (const InputInfo& input : inputs) {
    ASSIGN_OR_RETURN(const DType type, FedType(settings, input));
    const Result<ImageInput> image = FindImageAxes(input, settings.layout);
    const bool holds_images = image.ok() && type == DType::kFloat;
    layouts.push_back(holds_images ? std::optional(image->layout) : std::nullopt);
    any = any || holds_images;
  }
  if (!any)
    return UsageError("'views' needs a model with a float32 input of images of 1 or 3 channels");
  const ViewOptions options{.count = settings.views,
                            .mirror = settings.mirror,
                            .seed = static_cast<uint64_t>(settings.seed)};
  return std::unique_ptr<DataSource>(
      std::make_unique<Views>(std::move(source), std::move(layouts), options));
}

}  // namespace

BatchSize ChooseBatchSize(const Settings& settings, const std::vector<InputInfo>& inputs) {
  for (const InputInfo& input : inputs)
    if (!input.shape.empty() && input.shape[0] > 0) return {input.shape[0], true};
  if (settings.batch > 0) return {settings.batch, false};
  // Large samples one at a time, so that activations stay in the caches; small samples in batches
  // large enough to amortize the overhead per layer.
  constexpr int64_t kElements = 1 << 16, kMost = 16;
  int64_t elements = 1;
  for (const InputInfo& input : inputs) {
    int64_t own = 1;
    for (size_t i = 1; i < input.shape.size(); ++i)
      own = std::min(own * std::max<int64_t>(1, input.shape[i]), kElements);
    elements = std::max(elements, own);
  }
  return {std::clamp<int64_t>(kElements / elements, 1, kMost), false};
}

Result<std::vector<std::string>> KeysOfInputs(const Settings& settings,
                                              const std::vector<InputInfo>& inputs) {
  std::vector<std::string> keys(inputs.size()), names;
  for (const InputInfo& input : inputs) names.push_back(input.name);
  for (const std::string& entry : settings.inputs) {
    // Names may contain '='; the longest prefix that is an input is the name.
    size_t split = entry.size();
    auto found = std::find(names.begin(), names.end(), entry);
    while (found == names.end() && split != std::string::npos && split > 0) {
      split = entry.rfind('=', split - 1);
      if (split != std::string::npos)
        found = std::find(names.begin(), names.end(), entry.substr(0, split));
    }
    if (found == names.end())
      return UsageError(StrCat("'input' names '", entry, "', but the model's inputs are ",
                               Join(names, ", ", 10)));
    if (split < entry.size()) keys[found - names.begin()] = entry.substr(split + 1);
  }
  return keys;
}

Result<DType> FedType(const Settings& settings, const InputInfo& input) {
  if (input.dtype == DType::kUndefined)
    return settings.type == DType::kUndefined ? DType::kFloat : settings.type;
  if (settings.type != DType::kUndefined && settings.type != input.dtype)
    return UsageError(StrCat("'type' is ", DTypeName(settings.type), ", but model input '",
                             input.name, "' is ", DTypeName(input.dtype), "; leave it at auto"));
  return input.dtype;
}

Result<ImageFacts> FactsOfImages(const recipe::Params& params) {
  ASSIGN_OR_RETURN(const Settings settings, ResolveSettings(params));
  std::vector<double> ends;
  for (size_t c = 0; c < std::max(settings.mean.size(), settings.std.size()); ++c)
    for (const double pixel : {0.0, 255.0})
      ends.push_back((pixel * settings.scale - settings.mean[c % settings.mean.size()]) /
                     settings.std[c % settings.std.size()]);
  const auto [low, high] = std::minmax_element(ends.begin(), ends.end());
  ImageFacts facts{.low = static_cast<float>(*low), .high = static_cast<float>(*high)};
  using Kind = SizeRule::Kind;
  if (settings.crop.kind == Kind::kSide || settings.crop.kind == Kind::kExact) {
    facts.height = settings.crop.height;
    facts.width = settings.crop.width;
  }
  return facts;
}

Result<std::unique_ptr<DataSource>> OpenDataset(const recipe::Params& params,
                                                const std::vector<InputInfo>& inputs,
                                                DatasetFacts* facts, const SampleRule& rule) {
  ASSIGN_OR_RETURN(Settings settings, ResolveSettings(params));
  DatasetFacts ignored;
  if (facts == nullptr) facts = &ignored;
  *facts = {};
  ChooseFeeding(inputs, rule, &settings, facts);
  bool rebatch = !settings.whole_files;
  ASSIGN_OR_RETURN(auto loader, OpenLoader(settings, inputs, facts, &rebatch));
  const BatchSize batch = ChooseBatchSize(settings, inputs);
  const int64_t fixed = batch.fixed && rebatch && batch.size > 1 ? batch.size : 0;
  if (!facts->feeding.empty()) facts->description += ", " + facts->feeding;
  if (loader->samples() < fixed)
    return DataError(StrCat("the model's batch size is ", fixed, ", but there are only ",
                            loader->samples(), " samples"));
  Hasher hasher;
  hasher.Add(settings.text);
  if (settings.whole_files) hasher.Add("whole files");
  if (settings.sample == SampleUnit::kStack) hasher.Add("stacked");
  for (const std::string& name : facts->samples) hasher.Add(name);
  facts->hash = hasher.Hex();
  Hasher preprocessing;
  preprocessing.Add(settings.preprocessing);
  facts->preprocessing_hash = preprocessing.Hex();
  if (settings.views > 1) facts->description += StrCat(", ", settings.views, " views each");
  return WithViews(settings, inputs,
                   std::make_unique<Stream>(std::move(loader), DefaultStreamOptions(fixed)));
}

}  // namespace roundel::data
