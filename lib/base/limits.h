#pragma once
// What running a model may take. Of the whole process, like the number of threads: executors, lanes and
// sub-graphs draw on one account. Only what is large and grows with the model or its inputs is counted:
// the bytes of tensors and of activations; mapped files are not.

#include <cstdint>

#include "lib/base/status.h"

namespace roundel {

// 0: what this machine has, or grants this process (cgroup v2).
void SetMemoryLimit(int64_t bytes);
int64_t MemoryLimit();
int64_t MemoryInUse();

// Books memory that has been taken (> 0) or given back (< 0); does not check.
void CountMemory(int64_t bytes);
// kModel, saying what is wanted and what is left, if so much more exceeds the limit.
Status CheckMemory(int64_t bytes);
// kInternal: the machine gave less than the limit promises.
Status OutOfMemoryError();

// Iterations that one Loop may run; 0: the default.
void SetLoopLimit(int64_t iterations);
int64_t LoopLimit();
inline constexpr int64_t kDefaultLoopLimit = 10'000'000;

}  // namespace roundel
