#include "lib/base/limits.h"

#include <algorithm>
#include <atomic>

#include "lib/base/ending.h"
#include "lib/base/machine.h"
#include "lib/base/text.h"

namespace roundel {
namespace {

std::atomic<int64_t> memory_limit = 0, memory_in_use = 0, loop_limit = 0;

int64_t MemoryOfMachine() {
  static const int64_t bytes = UsableMemory();
  return bytes;
}

}  // namespace

void SetMemoryLimit(int64_t bytes) { memory_limit = bytes; }
int64_t MemoryLimit() {
  const int64_t limit = memory_limit;
  return limit > 0 ? limit : MemoryOfMachine();
}
int64_t MemoryInUse() { return memory_in_use; }
void CountMemory(int64_t bytes) { memory_in_use += bytes; }

Status CheckMemory(int64_t bytes) {
  const int64_t limit = MemoryLimit(), left = std::max<int64_t>(0, limit - MemoryInUse());
  if (bytes <= left) return OkStatus();
  return ModelError(StrCat("out of memory: ", HumanBytes(bytes), " are needed, ", HumanBytes(left),
                           " of ", HumanBytes(limit), " are left",
                           memory_limit > 0 ? " (the limit can be raised with --max-memory)" : ""));
}

Status OutOfMemoryError() { return InternalError(kOutOfMemory); }

void SetLoopLimit(int64_t iterations) { loop_limit = iterations; }
int64_t LoopLimit() {
  const int64_t limit = loop_limit;
  return limit > 0 ? limit : kDefaultLoopLimit;
}

}  // namespace roundel
