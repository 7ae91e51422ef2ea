#pragma once
// The loaders of the three kinds of data. Each function chooses the samples, makes the checks that
// do not need all of them, and fills in `facts`.

#include <memory>
#include <string>
#include <vector>

#include "lib/data/dataset.h"
#include "lib/data/settings.h"
#include "lib/data/stream.h"

namespace roundel::data {

// The batch size: the model's fixed batch dimension, else settings.batch, else a number that
// depends on the size of samples.
struct BatchSize {
  int64_t size = 1;
  bool fixed = false;
};
BatchSize ChooseBatchSize(const Settings& settings, const std::vector<InputInfo>& inputs);

// The array (key of a .npz; "" for the only one) for each of `inputs`, from settings.inputs. An
// input that is not in settings.inputs uses the key with its own name. Errors: kUsage for an
// unknown input.
Result<std::vector<std::string>> KeysOfInputs(const Settings& settings,
                                              const std::vector<InputInfo>& inputs);

// The element type to feed: that of the model. Errors: kUsage if settings.type differs.
Result<DType> FedType(const Settings& settings, const InputInfo& input);

// `files` are relative to `folder`, with `all_files` among which they were chosen.
struct FileChoice {
  std::string folder;
  std::vector<std::string> files, all_files;
};

Result<std::unique_ptr<Loader>> OpenImages(const Settings& settings, const FileChoice& choice,
                                           const std::vector<InputInfo>& inputs,
                                           DatasetFacts* facts);
Result<std::unique_ptr<Loader>> OpenArrays(const Settings& settings, const FileChoice& choice,
                                           const std::vector<InputInfo>& inputs,
                                           DatasetFacts* facts);
// `folders`: test_data_set_* paths in order.
Result<std::unique_ptr<Loader>> OpenTestSets(const Settings& settings,
                                             const std::vector<std::string>& folders,
                                             const std::vector<InputInfo>& inputs,
                                             DatasetFacts* facts);

}  // namespace roundel::data
