#pragma once
// The executor of a plan.

#include <memory>

#include "lib/engine/executor.h"

namespace roundel::engine {

// Runs batches as they are. `samples_are_independent`: sample_axis.h; nullptr if nobody asks.
Result<std::unique_ptr<Executor>> CreateWhole(const graph::Model& model,
                                              const ExecutorOptions& options,
                                              bool* samples_are_independent = nullptr);

}  // namespace roundel::engine
