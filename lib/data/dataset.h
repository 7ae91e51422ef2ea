#pragma once
// Opens the data set of a `data:` section or of the --data/--calib flags as a DataSource.

#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/recipe/params.h"
#include "lib/tensor/data_source.h"

namespace roundel::data {

// The parameters of a data section (path, names, labels, count, seed, preset, resize, crop, mean,
// std, layout, channel_order, type, batch, strict ...), declared once for recipes and flags.
const recipe::ParamSpecs& DataSpecs();

// One model input, which the data must match.
struct InputInfo {
  std::string name;
  DType dtype = DType::kFloat;
  std::vector<int64_t> shape;  // -1: any; empty: rank not known
};

// How the models that get the data treat the samples of a batch.
struct SampleRule {
  std::string mixing;  // why they cannot share one: "node 'r' (Reshape)"; "": they can
  bool first_axis_is_sequence = false;  // axis 0 is a sequence or similar, not a batch
};

// Facts for the report, so that a run can be repeated and compared.
struct DatasetFacts {
  std::string description;           // "folder of images, 256 of 1000, seed 0"
  std::string hash;                  // of the chosen names and the preprocessing
  std::string preprocessing_hash;    // of the preprocessing alone
  std::vector<std::string> samples;  // chosen names in order
  // How samples are fed, if that does not follow from the shapes: "one at a time: node 'r'
  // (Reshape) may mix samples".
  std::string feeding;
  bool has_labels = false;
};

// Opens `params` (values of DataSpecs()). If `rule` says that samples are mixed, they are fed one
// at a time unless the settings override that. Errors: kData for an empty folder, unknown labels,
// sizes that do not fit the model's inputs; kUsage for contradicting settings.
Result<std::unique_ptr<DataSource>> OpenDataset(const recipe::Params& params,
                                                const std::vector<InputInfo>& inputs,
                                                DatasetFacts* facts, const SampleRule& rule = {});

// What the preprocessing of `params` makes of images.
struct ImageFacts {
  float low = 0, high = 0;          // the least and the greatest value of a pixel
  int64_t height = -1, width = -1;  // -1: not given by `crop`
};
Result<ImageFacts> FactsOfImages(const recipe::Params& params);

}  // namespace roundel::data
