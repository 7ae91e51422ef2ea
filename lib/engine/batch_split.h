#pragma once
// Runs a batch in parts that fit the processor's caches: from layer to layer a part stays there,
// where the whole batch would go through memory every time. Parts run on threads of their own.

#include <memory>

#include "lib/engine/executor.h"

namespace roundel::engine {

// `whole` runs `model`, whose samples are independent (sample_axis.h). Results do not depend on the
// number of threads: the parts follow from the shapes of the inputs alone.
std::unique_ptr<Executor> SplitBatches(std::unique_ptr<Executor> whole, const graph::Model& model,
                                       const ExecutorOptions& options);

}  // namespace roundel::engine
