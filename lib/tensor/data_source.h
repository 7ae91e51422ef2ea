#pragma once
// The interface through which passes and engine users read samples; implemented in lib/data.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel {

struct Batch {
  std::vector<Tensor> inputs;             // in the order of the model's inputs; axis 0 = samples
  std::vector<std::string> sample_names;  // file or "file[17]", for messages
  std::vector<int64_t> labels;            // empty if the data has none
  int64_t size = 0;                       // samples
};

class DataSource {
 public:
  virtual ~DataSource() = default;
  // Number of samples of a whole sweep, including corrupt ones that are skipped, and all views.
  virtual int64_t size() const = 0;
  // How often each sample is shown: of every views() batches in a row, the first has the samples
  // themselves, and the others have the same ones changed (mirrored, cropped).
  virtual int64_t views() const { return 1; }
  // Starts a new sweep; every sweep yields the same samples in the same order.
  virtual Status Rewind() = 0;
  // The next batch; nullopt at the end of the sweep.
  virtual Result<std::optional<Batch>> Next() = 0;
  // Number of samples that the current sweep skipped because they could not be read.
  virtual int64_t skipped() const = 0;
};

}  // namespace roundel
