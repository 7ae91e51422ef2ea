#include "lib/engine/arena.h"

#include <cstring>
#include <map>

#include "lib/base/random.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

// Allocates and releases blocks in an order that `seed` decides; every block is filled with its own
// byte and must still hold it when it is released.
void RunRandomly(Arena* arena, const std::string& signature, uint64_t seed) {
  Random random(seed);
  arena->Begin(signature);
  std::map<int, std::pair<int64_t, unsigned char>> live;
  const auto release = [&](std::map<int, std::pair<int64_t, unsigned char>>::iterator it) {
    const auto* data = static_cast<const unsigned char*>(arena->Data(it->first));
    for (int64_t i = 0; i < it->second.first; ++i) REQUIRE(data[i] == it->second.second);
    arena->Release(it->first);
    live.erase(it);
  };
  for (int step = 0; step < 200; ++step) {
    if (live.empty() || random.Uniform() < 0.55) {
      const auto bytes = static_cast<int64_t>(random.Below(3000));
      const auto block = arena->Allocate(bytes);
      REQUIRE(block.ok());
      REQUIRE(reinterpret_cast<uintptr_t>(arena->Data(*block)) % 64 == 0);
      const auto mark = static_cast<unsigned char>(step);
      std::memset(arena->Data(*block), mark, static_cast<size_t>(bytes));
      live[*block] = {bytes, mark};
    } else {
      release(std::next(live.begin(), static_cast<int64_t>(random.Below(live.size()))));
    }
  }
  while (!live.empty()) release(live.begin());
  arena->End(true);
}

TEST_CASE("blocks that live at the same time never overlap, recorded or planned") {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Arena arena;
    for (int run = 0; run < 3; ++run) RunRandomly(&arena, "s", seed);
    CHECK(arena.planned_bytes() > 0);
    RunRandomly(&arena, "s", seed + 100);  // not what was recorded
    RunRandomly(&arena, "s", seed + 100);
    RunRandomly(&arena, "other", seed);
    RunRandomly(&arena, "s", seed + 100);
  }
}

TEST_CASE("memory is used again") {
  Arena arena;
  for (int run = 0; run < 2; ++run) {
    arena.Begin("chain");
    int previous = *arena.Allocate(1 << 20);
    for (int i = 0; i < 50; ++i) {
      const int next = *arena.Allocate(1 << 20);
      arena.Release(previous);
      previous = next;
    }
    arena.Release(previous);
    arena.End(true);
  }
  CHECK(arena.planned_bytes() == 2 << 20);
}

TEST_CASE("a block lives as long as anybody refers to it") {
  Arena arena;
  arena.Begin("s");
  const int block = *arena.Allocate(100);
  arena.Retain(block);
  arena.Release(block);
  CHECK(arena.references(block) == 1);
  CHECK(arena.Find(static_cast<char*>(arena.Data(block)) + 99) == block);
  CHECK(arena.Find(&arena) == -1);
  arena.Release(block);
  arena.End(true);
}

TEST_CASE("a run that breaks off leaves nothing behind") {
  Arena arena;
  for (int run = 0; run < 3; ++run) {
    arena.Begin("s");
    REQUIRE(arena.Allocate(1000).ok());
    arena.End(false);
  }
  CHECK(arena.planned_bytes() == 0);
}

TEST_CASE("a block larger than the machine is an error") {
  Arena arena;
  arena.Begin("s");
  const auto block = arena.Allocate(int64_t{1} << 60);
  REQUIRE_FALSE(block.ok());
  CHECK(block.status().kind() == ErrorKind::kModel);
  CHECK_THAT(block.status().message(), Catch::Contains("exceeds the limit"));
  arena.End(true);
}

}  // namespace
}  // namespace roundel::engine
