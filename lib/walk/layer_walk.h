#pragma once
// Visits the layers of a model in order, each with all samples, in one sweep. Two streams of values
// advance from layer to layer: those of the float model, and those of the model with the layers so
// far quantized. Between layers only values with remaining readers are kept, in memory up to a
// budget and then on disk. No node runs twice.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/tensor/data_source.h"
#include "lib/walk/layer_inputs.h"

namespace roundel::walk {

struct WalkOptions {
  // Of the float stream, with the same nodes; nullptr: the walked model as it is on entry.
  const graph::Model* reference = nullptr;
  int64_t samples = 0;  // 0: all, in whole batches
  // For stored values; the excess goes to a temporary file in `spill_folder` (value_store.h).
  int64_t memory_bytes = int64_t{1500} << 20;
  std::string spill_folder;
  std::string label;  // of the progress display
  // Per layer: whether it needs its inputs; empty: all do. Nodes that only other layers depend on
  // are not run. If no layer needs inputs, the data is not read.
  std::vector<bool> wanted;
};

// `layer`: index into `layers`; `inputs`: nullptr for layers that do not need them. The visitor may
// change `model` and `encodings` of visited layers: values of constants, codes of a weight, a new
// bias input, but no nodes. Returns the text of the layer in the progress display.
using VisitLayer = std::function<Result<std::string>(size_t layer, const LayerInputs* inputs)>;

// `layers`: nodes of `model`, whose nodes are in topological order; visited in that order. Errors:
// kData if there are no samples; those of running the model; kInternal for a full disk; kInterrupted.
Status WalkLayers(const graph::Model& model, const quant::EncodingTable& encodings,
                  const std::vector<const graph::Node*>& layers, DataSource& data,
                  const WalkOptions& options, const VisitLayer& visit);

}  // namespace roundel::walk
