#pragma once
// Loading of models and data for commands.

#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/data/dataset.h"
#include "lib/engine/executor.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/recipe/params.h"

namespace roundel::cmd {

struct LoadedModel {
  std::string path;
  graph::Model model;
  std::string hash;   // of the file and of external data
  int64_t bytes = 0;  // of both
  int64_t nodes = 0;
};

Result<LoadedModel> LoadModel(const std::string& path);
// The files beside the model that hold weights of it.
std::vector<std::string> DataFilesOf(const LoadedModel& loaded);
// kModel if the model is quantized already: nobody means that whose float model is at hand.
Status CheckFloat(const graph::Model& model, const std::string& path);
// kModel, naming the nodes, if the engine cannot run the model.
Status CheckRunnable(const graph::Model& model, const std::string& path);

// The encodings in `text`, of the file `path`, for a model. Where they do not fit the model as it is they may have been made
// for its normal form, which `quantize` works on: the model then becomes that.
Result<quant::EncodingTable> ReadEncodings(const std::string& text, const std::string& path,
                                           graph::Model* model);

// Data for the inputs of the first of `models`, which all get it: the one place that decides
// whether samples share batches. `mixing`: what else will mix them. kUsage if the section has no
// path; `flag` is named then.
Result<std::unique_ptr<DataSource>> OpenData(const recipe::Params& params,
                                             const std::vector<const graph::Model*>& models,
                                             const std::string& flag, data::DatasetFacts* facts,
                                             const std::string& mixing = "");

}  // namespace roundel::cmd
