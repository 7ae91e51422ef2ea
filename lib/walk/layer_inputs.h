#pragma once
// The input of a layer, batch by batch, as the float and the quantized model compute it.

#include <cstdint>

#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel::walk {

// One batch of a layer's data input (input 0, or 1 if input 0 is the constant).
struct LayerBatch {
  Tensor reference;  // in the float model
  Tensor quantized;  // in the model with the layers so far quantized; the same tensor if equal
  int64_t first_sample = 0, samples = 0;
  int64_t original = 0;  // number of the first sample without counting views
};

class LayerInputs {
 public:
  virtual ~LayerInputs() = default;
  virtual int64_t samples() const = 0;    // with their views
  virtual int64_t originals() const = 0;  // without
  virtual int64_t batches() const = 0;
  // In the order of the data. May be called repeatedly and concurrently during the visit.
  virtual Result<LayerBatch> Load(int64_t batch) const = 0;
};

}  // namespace roundel::walk
