#pragma once
// One sweep of a model over a data set. If memory allows it, several batches run concurrently, each
// on a lane: a thread with its own executor, so that threads do not synchronize inside layers.

#include <functional>
#include <string>
#include <vector>

#include "lib/engine/executor.h"
#include "lib/tensor/data_source.h"

namespace roundel::walk {

struct SweepOptions {
  engine::ExecutorOptions executor;
  int64_t samples = 0;  // to run, in whole batches, with all their views; 0: all
  std::string label;    // of the progress display
  // Memory limit of the executors after the first one.
  int64_t spare_bytes = int64_t{400} << 20;
};

struct SweepHooks {
  // The taps of lane `lane`, requested once, before it runs. Taps of different lanes are called
  // concurrently, those of one lane are not.
  std::function<std::vector<engine::Tap>(int lane)> taps;
  // Called after a batch has run on `lane`: in the order of the data, one call at a time, before
  // the next batch of the lane. May be empty.
  std::function<Status(int lane, const Batch& batch, const std::vector<Tensor>& outputs)> done;
  // Adds details to an error in `batch`. May be empty.
  std::function<Status(Status error, const Batch& batch)> explain;
};

// Returns the number of samples that ran. The number of lanes, and the lane of each batch, depend
// on the machine; results must not depend on them. Errors: those of the first failed batch in the
// order of the data.
Result<int64_t> Sweep(const graph::Model& model, const SweepOptions& options, DataSource& data,
                      const SweepHooks& hooks);

}  // namespace roundel::walk
