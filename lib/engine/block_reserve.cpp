#include "lib/engine/block_reserve.h"

#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "lib/base/limits.h"

namespace roundel::engine {
namespace {

constexpr int64_t kLargePage = 2 << 20;
// A kept block may be larger than the requested size by this factor: its remaining pages are idle.
constexpr int64_t kMaxSlack = 4;

class Reserve {
 public:
  SystemBlock Take(int64_t bytes) {
    const std::scoped_lock lock(mutex_);
    const auto found = kept_.lower_bound(bytes);
    if (found == kept_.end() || found->first > kMaxSlack * bytes) return {};
    const SystemBlock block = {found->second, found->first};
    kept_.erase(found);
    bytes_ -= block.bytes;
    return block;
  }

  // False if there is no room.
  bool Keep(const SystemBlock& block) {
    const std::scoped_lock lock(mutex_);
    const int64_t left = MemoryLimit() - MemoryInUse();
    if (bytes_ + block.bytes > std::min(kMaxReservedBytes, left)) return false;
    kept_.emplace(block.bytes, block.data);
    bytes_ += block.bytes;
    return true;
  }

  int64_t bytes() {
    const std::scoped_lock lock(mutex_);
    return bytes_;
  }

 private:
  std::mutex mutex_;
  std::multimap<int64_t, char*> kept_;  // by size
  int64_t bytes_ = 0;
};

// Never destroyed, because executors may outlive it otherwise.
Reserve& TheReserve() {
  static auto& reserve = *new Reserve;
  return reserve;
}

// Large pages avoid most of the address translation for buffers that are traversed repeatedly. They
// must be aligned to their size, which the system does not guarantee: memory around the aligned
// part is returned.
SystemBlock Map(int64_t bytes) {
  const int64_t wide = bytes + kLargePage;
  void* mapped = mmap(nullptr, static_cast<size_t>(wide), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return {};
  char* begin = static_cast<char*>(mapped);
  const auto before = static_cast<int64_t>(
      (kLargePage - reinterpret_cast<uintptr_t>(begin) % kLargePage) % kLargePage);
  if (before > 0) munmap(begin, static_cast<size_t>(before));
  char* data = begin + before;
  munmap(data + bytes, static_cast<size_t>(kLargePage - before));
  // a hint; without it everything works, but slower
  madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE);
  return {data, bytes};
}

}  // namespace

SystemBlock TakeSystemBlock(int64_t bytes) {
  const int64_t rounded = (bytes + kLargePage - 1) / kLargePage * kLargePage;
  const SystemBlock kept = TheReserve().Take(rounded);
  return kept.data ? kept : Map(rounded);
}

void ReturnSystemBlock(const SystemBlock& block) {
  if (!TheReserve().Keep(block)) munmap(block.data, static_cast<size_t>(block.bytes));
}

int64_t ReservedBytes() { return TheReserve().bytes(); }

}  // namespace roundel::engine
