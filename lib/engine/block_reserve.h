#pragma once
// Large blocks of memory, straight from the system. What is given back is kept up to a bound for
// whoever asks next: fresh pages have to be cleared, which for executors that live for a few runs
// takes as long as running them.

#include <cstdint>

namespace roundel::engine {

struct SystemBlock {
  char* data = nullptr;  // null: the system has no more
  int64_t bytes = 0;     // of the whole block, at least what was asked for
};

// Aligned to large pages. What it holds is undefined.
SystemBlock TakeSystemBlock(int64_t bytes);
void GiveSystemBlock(const SystemBlock& block);

// What is kept at the moment, and at most.
int64_t ReservedBytes();
inline constexpr int64_t kMostReservedBytes = int64_t{64} << 20;

}  // namespace roundel::engine
