// Decides whether batches run whole or in parts.

#include <utility>

#include "lib/engine/batch_split.h"
#include "lib/engine/executor.h"
#include "lib/engine/plan_executor.h"

namespace roundel::engine {

Result<std::unique_ptr<Executor>> Executor::Create(const graph::Model& model,
                                                   const ExecutorOptions& options) {
  bool independent = false;
  ASSIGN_OR_RETURN(auto whole, CreateWhole(model, options, &independent));
  if (!independent || !options.fast_kernels || options.part_bytes <= 0) return whole;
  return SplitBatches(std::move(whole), model, options);
}

}  // namespace roundel::engine
