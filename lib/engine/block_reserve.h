#pragma once
// Large blocks of memory from the system. Released blocks are kept for the next request, up to a
// limit: the system clears new pages, which for executors of a few runs takes as long as the
// runs.

#include <cstdint>

namespace roundel::engine {

struct SystemBlock {
  char* data = nullptr;  // null: allocation failed
  int64_t bytes = 0;     // of the whole block, at least the requested size
};

// A block aligned to large pages, with undefined contents.
SystemBlock TakeSystemBlock(int64_t bytes);
void ReturnSystemBlock(const SystemBlock& block);

// The size of the kept blocks now, and its limit.
int64_t ReservedBytes();
inline constexpr int64_t kMaxReservedBytes = int64_t{64} << 20;

}  // namespace roundel::engine
