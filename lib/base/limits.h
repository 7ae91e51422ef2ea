#pragma once
// Limits on running a model. They hold for the whole process: executors, lanes and sub-graphs share
// one memory account. It counts only what grows with the model or its inputs: the bytes of tensors
// and of activations. Mapped files are not counted.

#include <cstdint>

#include "lib/base/status.h"

namespace roundel {

// 0: the memory of the machine, or the cgroup v2 limit of the process.
void SetMemoryLimit(int64_t bytes);
int64_t MemoryLimit();
int64_t MemoryInUse();

// Adds allocated (> 0) or released (< 0) bytes to the account. Does not check the limit.
void CountMemory(int64_t bytes);
// Errors: kModel if `bytes` more would exceed the limit; the message states both amounts.
Status CheckMemory(int64_t bytes);
// kInternal: an allocation failed below the limit.
Status OutOfMemoryError();

// Maximum number of iterations of one Loop node; 0: the default.
void SetLoopLimit(int64_t iterations);
int64_t LoopLimit();
inline constexpr int64_t kDefaultLoopLimit = 10'000'000;

}  // namespace roundel
