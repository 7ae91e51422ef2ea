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
// The files next to the model that contain its weights.
std::vector<std::string> DataFilesOf(const LoadedModel& loaded);
// kModel if the model is already quantized: the float model must be given instead.
Status CheckFloat(const graph::Model& model, const std::string& path);
// kModel, naming the nodes, if the engine cannot run the model.
Status CheckRunnable(const graph::Model& model, const std::string& path);

// The encodings in `text`, from the file `path`, for a model. If they do not fit the model, they
// may have been made for its normal form, on which `quantize` works: then the model is converted to
// it.
Result<quant::EncodingTable> ReadEncodings(const std::string& text, const std::string& path,
                                           graph::Model* model);

// Data for the inputs of the first of `models`; all models get it. The only place that decides
// whether samples share batches. `mixing`: other reasons for mixing them. kUsage, with `flag`, if
// the section has no path.
Result<std::unique_ptr<DataSource>> OpenData(const recipe::Params& params,
                                             const std::vector<const graph::Model*>& models,
                                             const std::string& flag, data::DatasetFacts* facts,
                                             const std::string& mixing = "");

}  // namespace roundel::cmd
