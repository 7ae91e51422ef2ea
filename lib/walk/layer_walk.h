#pragma once
// Visits the weighted layers of a model one after another with all samples at hand, in one sweep: two
// streams of values advance together from layer to layer, those of the float model and those of the
// model as quantized so far. Between two layers only the values that something still reads are kept,
// in memory up to a budget and then on disk; no node runs twice.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/tensor/data_source.h"
#include "lib/tensor/tensor.h"

namespace roundel::walk {

struct WalkOptions {
  int64_t samples = 0;  // 0: all, in whole batches
  // Of values put aside; more goes to a temporary file in `spill_folder` (value_store.h).
  int64_t memory_bytes = int64_t{1500} << 20;
  std::string spill_folder;
  std::string label;  // of the progress display
  // By layer: whether it needs its inputs; empty: all do. What only the others depend on is not run,
  // and with none there is no reading of the data.
  std::vector<bool> wanted;
};

// One batch of what a layer reads (its input 0; 1, if that is the constant).
struct LayerBatch {
  Tensor reference;  // in the float model
  Tensor quantized;  // in the model as quantized so far; the same tensor if nothing differs yet
  int64_t first_sample = 0, samples = 0;
};

class LayerInputs {
 public:
  virtual ~LayerInputs() = default;
  virtual int64_t samples() const = 0;
  virtual int64_t batches() const = 0;
  // In the order of the data; any number of times during the visit, several at once.
  virtual Result<LayerBatch> Load(int64_t batch) const = 0;
};

// `layer`: index into `layers`; `inputs`: nullptr for layers that do not want them. It may change
// `model` and `encodings` where they are about layers that have been visited: values of constants, the
// codes of a weight, a new bias input; no nodes. Returns what the progress display says of the layer.
using VisitLayer = std::function<Result<std::string>(size_t layer, const LayerInputs* inputs)>;

// `layers`: nodes of `model`, whose nodes are in topological order; visited in that order. The float
// stream is that of `model` as it is on entry. kData if there are no samples; what running the model
// can fail with; kInternal for a full disk; kInterrupted.
Status WalkLayers(const graph::Model& model, const quant::EncodingTable& encodings,
                  const std::vector<const graph::Node*>& layers, DataSource& data,
                  const WalkOptions& options, const VisitLayer& visit);

}  // namespace roundel::walk
