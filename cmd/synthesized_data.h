#pragma once
// Calibration images that are made from the model (`data.synthesize`).

#include <memory>

#include "lib/base/status.h"
#include "lib/data/dataset.h"
#include "lib/graph/graph.h"

namespace roundel::cmd {

// Errors: kUsage if `params` also name data; kModel if no images can be made for the model.
Result<std::unique_ptr<DataSource>> SynthesizeData(const recipe::Params& params,
                                                   const graph::Model& model,
                                                   data::DatasetFacts* facts);

}  // namespace roundel::cmd
