#pragma once
// The executor of a plan.

#include <memory>

#include "lib/engine/executor.h"

namespace roundel::engine {

// Runs batches whole. `samples_are_independent`: see sample_axis.h; nullptr if not needed.
Result<std::unique_ptr<Executor>> CreateWhole(const graph::Model& model,
                                              const ExecutorOptions& options,
                                              bool* samples_are_independent = nullptr);

}  // namespace roundel::engine
