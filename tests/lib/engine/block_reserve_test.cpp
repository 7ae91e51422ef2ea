#include "lib/engine/block_reserve.h"

#include <cstring>
#include <vector>

#include "lib/base/limits.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

constexpr int64_t kMiB = 1 << 20;

// Other tests of this program leave blocks behind.
void Empty() {
  std::vector<SystemBlock> all;
  for (int64_t bytes = kMaxReservedBytes; bytes > 0; bytes -= 2 * kMiB)
    while (true) {
      const int64_t before = ReservedBytes();
      const SystemBlock block = TakeSystemBlock(bytes);
      all.push_back(block);
      if (ReservedBytes() == before) break;
    }
  SetMemoryLimit(MemoryInUse() + 1);  // no room: what is given back now goes to the system
  for (const SystemBlock& block : all) ReturnSystemBlock(block);
  SetMemoryLimit(0);
  REQUIRE(ReservedBytes() == 0);
}

TEST_CASE("a block that was given back serves the next one who asks") {
  Empty();
  const SystemBlock first = TakeSystemBlock(5 * kMiB);
  REQUIRE(first.data != nullptr);
  CHECK(first.bytes >= 5 * kMiB);
  CHECK(reinterpret_cast<uintptr_t>(first.data) % (2 * kMiB) == 0);
  std::memset(first.data, 1, static_cast<size_t>(first.bytes));
  ReturnSystemBlock(first);
  CHECK(ReservedBytes() == first.bytes);
  const SystemBlock second = TakeSystemBlock(3 * kMiB);
  CHECK(second.data == first.data);
  CHECK(second.bytes == first.bytes);
  CHECK(ReservedBytes() == 0);
  // Two at the same time are two blocks.
  const SystemBlock third = TakeSystemBlock(5 * kMiB);
  CHECK((third.data + third.bytes <= second.data || second.data + second.bytes <= third.data));
  ReturnSystemBlock(second);
  ReturnSystemBlock(third);
}

TEST_CASE("a large block is not spent on a small one") {
  Empty();
  const SystemBlock large = TakeSystemBlock(20 * kMiB);
  ReturnSystemBlock(large);
  const SystemBlock small = TakeSystemBlock(2 * kMiB);
  CHECK(small.bytes == 2 * kMiB);
  CHECK(ReservedBytes() == large.bytes);
  ReturnSystemBlock(small);
}

TEST_CASE("what is kept stays within its bound and within the memory limit") {
  Empty();
  std::vector<SystemBlock> blocks;
  for (int i = 0; i < 10; ++i) blocks.push_back(TakeSystemBlock(10 * kMiB));
  for (const SystemBlock& block : blocks) ReturnSystemBlock(block);
  CHECK(ReservedBytes() == kMaxReservedBytes / (10 * kMiB) * 10 * kMiB);
  Empty();
  const SystemBlock block = TakeSystemBlock(10 * kMiB);
  SetMemoryLimit(MemoryInUse() + 5 * kMiB);
  ReturnSystemBlock(block);
  SetMemoryLimit(0);
  CHECK(ReservedBytes() == 0);
}

}  // namespace
}  // namespace roundel::engine
