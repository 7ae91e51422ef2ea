#include "lib/data/settings.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "lib/base/text.h"
#include "lib/data/dataset.h"

namespace roundel::data {
namespace {

// Defaults that a preset sets; keys that are given override them.
struct Preset {
  const char* name;
  double scale;
  std::vector<double> mean, std;  // red, green, blue
  const char* resize;             // and crop
};

const std::vector<Preset>& Presets() {
  static const std::vector<Preset> presets = {
      {"none", 1, {0}, {1}, "none"},
      {"zero_one", 1.0 / 255, {0}, {1}, "none"},
      {"tf", 1 / 127.5, {1}, {1}, "auto"},
      // Statistics of the ImageNet training images, as torchvision publishes them.
      {"imagenet", 1.0 / 255, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, "auto"}};
  return presets;
}

const Preset& FindPreset(const std::string& name) {
  for (const Preset& preset : Presets())
    if (name == preset.name) return preset;
  return Presets().front();  // names were checked against the spec's choices
}

constexpr int kMaxSide = 16384;

bool ParseSide(std::string_view text, int* side) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *side);
  return error == std::errc() && end == text.data() + text.size() && *side >= 1 &&
         *side <= kMaxSide;
}

Result<SizeRule> ParseSizeRule(const std::string& key, const std::string& text) {
  using Kind = SizeRule::Kind;
  if (text == "none") return SizeRule{};
  if (text == "auto") return SizeRule{Kind::kAuto};
  SizeRule rule;
  const size_t cross = text.find('x');
  if (cross == std::string::npos && ParseSide(text, &rule.height)) {
    rule.kind = Kind::kSide;
    rule.width = rule.height;
    return rule;
  }
  const std::string_view view = text;
  if (cross != std::string::npos && ParseSide(view.substr(0, cross), &rule.height) &&
      ParseSide(view.substr(cross + 1), &rule.width)) {
    rule.kind = Kind::kExact;
    return rule;
  }
  return UsageError(StrCat("'", key, "' must be preset, auto, none, SIDE or HEIGHTxWIDTH (1 to ",
                           kMaxSide, "), not '", text, "'"));
}

Layout ParseLayout(const std::string& text) {
  return text == "nchw" ? Layout::kNchw : text == "nhwc" ? Layout::kNhwc : Layout::kAuto;
}

Status CheckNormalization(const Settings& settings) {
  for (double value : settings.std)
    if (value == 0) return UsageError("'std' must not be 0");
  for (const auto* values : {&settings.mean, &settings.std})
    if (values->size() != 1 && values->size() != 3)
      return UsageError(StrCat("'", values == &settings.mean ? "mean" : "std",
                               "' must have 1 or 3 values, not ", values->size()));
  return OkStatus();
}

// All settings but those of `except`, in one line.
std::string SettingsText(const recipe::Params& params, const std::set<std::string>& except) {
  std::string text;
  for (const auto& [name, value] : params.values())
    if (!except.contains(name)) text += StrCat(name, "=", recipe::ParamValueText(value), ";");
  return text;
}

const std::set<std::string> kNoTensors = {"path", "names", "labels", "batch", "sample", "strict"};
const std::set<std::string> kNoPreprocessing = {
    "path", "names", "labels", "batch", "sample", "strict", "count", "seed", "labels_offset"};

SampleUnit ParseSampleUnit(const std::string& text) {
  return text == "row"     ? SampleUnit::kRow
         : text == "file"  ? SampleUnit::kFile
         : text == "stack" ? SampleUnit::kStack
                           : SampleUnit::kAuto;
}

// Which samples there are.
recipe::ParamSpecs SourceSpecs() {
  return {
      {"path", std::string(),
       "folder of JPEG/PNG images, of .npy/.npz files or of ONNX test_data_set_* folders, or a "
       "single file"},
      {"names", std::string(),
       "text file that lists the files to use, one per line, relative to path; further columns are "
       "ignored"},
      {"labels", std::string(),
       "class labels: text file with 'name label' lines, .npy of integers, key of the .npz, "
       "'prefix' (file name up to the first _) or 'folder' (first sub-folder)"},
      {"labels_offset", int64_t{0}, "number added to every label", -1e9, 1e9},
      {"count",
       int64_t{0},
       "number of samples to use; if there are more, they are chosen at random, by the seed; 0 = "
       "all",
       0,
       1e12,
       {},
       "samples"},
      {"seed", int64_t{0}, "seed of the random choice of samples", 0},
      {"views", int64_t{1},
       "versions of each image: the image, its mirror image, then crops of random size and place, "
       "enlarged again; more images for methods that learn from few",
       1, 64},
      {"synthesize",
       int64_t{0},
       "instead of a path: number of images to make from the model, whose BatchNormalization nodes "
       "remember the means and variances of its training; 0 = none",
       0,
       4096,
       {},
       "samples"},
      {"mirror", true, "whether views may be mirrored left to right; false for text"}};
}

// What becomes of pixels.
recipe::ParamSpecs PixelSpecs() {
  using Floats = std::vector<double>;
  return {
      {"preset",
       std::string("none"),
       "default scale, mean, std, resize and crop: none (values 0..255), zero_one (x/255), tf "
       "(x/127.5-1), imagenet (the mean and std of torchvision)",
       {},
       {},
       {"none", "zero_one", "tf", "imagenet"}},
      {"resize", std::string("preset"),
       "size of images before the crop, in pixels: preset (what the preset says), none, SIDE "
       "(short side), HEIGHTxWIDTH, or auto (short side = model's size / 0.875, unless the image "
       "has the model's size already)"},
      {"crop", std::string("preset"),
       "size of the center crop, in pixels: preset (what the preset says), none, SIDE, "
       "HEIGHTxWIDTH, or auto (the model's size)"},
      {"interpolation",
       std::string("bilinear"),
       "how images are resized; bilinear and bicubic are antialiased",
       {},
       {},
       {"nearest", "bilinear", "bicubic"}},
      {"scale", 0.0,
       "factor that pixel values 0..255 are multiplied by before mean is subtracted; 0 = the "
       "preset's",
       0},
      {"mean", Floats{},
       "mean to subtract after scaling: 1 value, or 3 (one per channel); empty = the preset's"},
      {"std", Floats{},
       "standard deviation to divide by after mean is subtracted: 1 value, or 3 (one per channel); "
       "empty = the preset's"}};
}

// How samples are fed to the model.
recipe::ParamSpecs FeedSpecs() {
  using Strings = std::vector<std::string>;
  return {
      {"layout",
       std::string("auto"),
       "axis order of the model's image input; auto = found from the axis that has 1 or 3 channels",
       {},
       {},
       {"auto", "nchw", "nhwc"}},
      {"array_layout",
       std::string("auto"),
       "axis order of images in .npy/.npz files; auto = the order that fits the model's input "
       "shape",
       {},
       {},
       {"auto", "nchw", "nhwc"}},
      {"channel_order",
       std::string("rgb"),
       "channel order that the model expects, and that mean and std are given in; the data itself "
       "is RGB",
       {},
       {},
       {"rgb", "bgr"}},
      {"type",
       std::string("auto"),
       "element type of the model's input; needed only if the model does not declare it",
       {},
       {},
       {"auto", "float32", "float16", "float64", "uint8", "int8", "uint16", "int16", "int32",
        "int64", "bool"}},
      {"batch",
       int64_t{0},
       "samples per run; 0 = few of large samples, more of small ones; a fixed batch size of the "
       "model takes precedence, and models that mix samples get one at a time",
       0,
       4096,
       {},
       "samples"},
      {"sample",
       std::string("auto"),
       "what one sample is: row (one index of the arrays' first axis), file (the arrays of one "
       "file, whole), stack (row, in batches even if the model mixes samples), auto (row, or file "
       "if the model's first axis is not a batch axis)",
       {},
       {},
       {"auto", "row", "file", "stack"}},
      {"input", Strings{},
       "model inputs that the data feeds: INPUT, or INPUT=KEY for a key of the .npz"},
      {"strict", false,
       "stop with an error at a file that cannot be decoded, instead of skipping it with a "
       "warning"}};
}

}  // namespace

const recipe::ParamSpecs& DataSpecs() {
  static const recipe::ParamSpecs specs = [] {
    recipe::ParamSpecs all = SourceSpecs();
    for (const recipe::ParamSpecs& more : {PixelSpecs(), FeedSpecs()})
      all.insert(all.end(), more.begin(), more.end());
    return all;
  }();
  return specs;
}

Result<Settings> ResolveSettings(const recipe::Params& params) {
  const Preset& preset = FindPreset(params.String("preset"));
  const auto or_preset = [](const std::string& text, const char* preset_value) {
    return text == "preset" ? std::string(preset_value) : text;
  };
  Settings s;
  s.path = params.String("path");
  s.names = params.String("names");
  s.labels = params.String("labels");
  s.labels_offset = params.Int("labels_offset");
  s.count = params.Int("count");
  s.seed = params.Int("seed");
  s.batch = params.Int("batch");
  s.views = params.Int("views");
  s.mirror = params.Bool("mirror");
  s.sample = ParseSampleUnit(params.String("sample"));
  s.strict = params.Bool("strict");
  ASSIGN_OR_RETURN(s.resize,
                   ParseSizeRule("resize", or_preset(params.String("resize"), preset.resize)));
  ASSIGN_OR_RETURN(s.crop, ParseSizeRule("crop", or_preset(params.String("crop"), preset.resize)));
  const std::string& interpolation = params.String("interpolation");
  s.interpolation = interpolation == "nearest"   ? Interpolation::kNearest
                    : interpolation == "bicubic" ? Interpolation::kBicubic
                                                 : Interpolation::kBilinear;
  s.bgr = params.String("channel_order") == "bgr";
  s.preset = preset.name;
  s.scale = params.Float("scale") != 0 ? params.Float("scale") : preset.scale;
  s.mean = params.Floats("mean");
  s.std = params.Floats("std");
  s.normalizes =
      s.preset != "none" || params.Float("scale") != 0 || !s.mean.empty() || !s.std.empty();
  // The statistics of a preset belong to colors, so they follow the channel order.
  for (auto [values, defaults] : {std::pair{&s.mean, &preset.mean}, {&s.std, &preset.std}}) {
    if (!values->empty()) continue;
    *values = *defaults;
    if (s.bgr) std::reverse(values->begin(), values->end());
  }
  RETURN_IF_ERROR(CheckNormalization(s));
  s.layout = ParseLayout(params.String("layout"));
  s.array_layout = ParseLayout(params.String("array_layout"));
  if (params.String("type") != "auto") s.type = ParseDType(params.String("type"));
  s.inputs = params.Strings("input");
  s.text = SettingsText(params, kNoTensors);
  s.preprocessing = SettingsText(params, kNoPreprocessing);
  return s;
}

}  // namespace roundel::data
