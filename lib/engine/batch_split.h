#pragma once
// Runs a batch in parts that fit the processor's caches: a part stays in the caches from layer to
// layer, while a whole batch would go through memory each time. Parts run on separate threads.

#include <memory>

#include "lib/engine/executor.h"

namespace roundel::engine {

// Requires: `whole` runs `model`, whose samples are independent (sample_axis.h). Results do not
// depend on the number of threads: the parts depend only on the shapes of the inputs.
std::unique_ptr<Executor> SplitBatches(std::unique_ptr<Executor> whole, const graph::Model& model,
                                       const ExecutorOptions& options);

}  // namespace roundel::engine
