#pragma once
// The three kinds of data, each a Loader behind the same Stream. Each function chooses the samples,
// checks what can be checked without reading all of them, and fills in `facts`.

#include <memory>
#include <string>
#include <vector>

#include "lib/data/dataset.h"
#include "lib/data/settings.h"
#include "lib/data/stream.h"

namespace roundel::data {

// Samples that the model takes at once: its fixed batch dimension, else settings.batch, else what their
// size suggests.
struct BatchSize {
  int64_t size = 1;
  bool fixed = false;
};
BatchSize ChooseBatchSize(const Settings& settings, const std::vector<InputInfo>& inputs);

// Which array (key of a .npz; "" for the only one) feeds each of `inputs`, after settings.inputs.
// An input that nothing names is fed by the key of its own name. kUsage for an input that does not
// exist.
Result<std::vector<std::string>> KeysOfInputs(const Settings& settings,
                                              const std::vector<InputInfo>& inputs);

// The element type to feed: the model's; kUsage if settings.type says another.
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
