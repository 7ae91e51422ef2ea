#pragma once
// One pass of a model over a data set, several batches at a time where memory allows it: each on a
// thread of its own, with an executor of its own, so that nobody waits for anybody inside a layer.

#include <functional>
#include <string>
#include <vector>

#include "lib/engine/executor.h"
#include "lib/tensor/data_source.h"

namespace roundel::walk {

struct SweepOptions {
  engine::ExecutorOptions executor;
  int64_t samples = 0;  // stop after so many, in whole batches; 0: all
  std::string label;    // of the progress display
  // What further executors may take beside the first one.
  int64_t spare_bytes = int64_t{400} << 20;
};

struct SweepHooks {
  // The taps of lane `lane`, asked for once, before it runs. Taps of different lanes are called at the
  // same time, those of one lane never are.
  std::function<std::vector<engine::Tap>(int lane)> taps;
  // A batch has run on `lane`: called in the order of the data, one at a time, before the lane gets
  // another. May be empty.
  std::function<Status(int lane, const Batch& batch, const std::vector<Tensor>& outputs)> done;
  // Tells more of an error that happened in `batch`. May be empty.
  std::function<Status(Status error, const Batch& batch)> explain;
};

// The number of samples that ran. Which lane gets which batch, and how many lanes there are, depends on
// the machine: results must not. Errors are those of the first batch that failed, in the order of
// the data.
Result<int64_t> Sweep(const graph::Model& model, const SweepOptions& options, DataSource& data,
                      const SweepHooks& hooks);

}  // namespace roundel::walk
