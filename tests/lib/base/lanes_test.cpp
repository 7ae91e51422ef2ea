#include "lib/base/lanes.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <set>

#include "lib/base/parallel.h"

namespace roundel {
namespace {

TEST_CASE("every lane does its piece once a round, on a thread of its own") {
  Lanes lanes(3);
  std::vector<std::thread::id> threads(3);
  for (int round = 0; round < 50; ++round) {
    const int n = round % 4;  // 0 to 3 lanes take part
    std::vector<std::atomic<int>> calls(3);
    lanes.Run(n, [&](int lane) {
      ++calls[static_cast<size_t>(lane)];
      if (threads[static_cast<size_t>(lane)] == std::thread::id())
        threads[static_cast<size_t>(lane)] = std::this_thread::get_id();
      CHECK(threads[static_cast<size_t>(lane)] == std::this_thread::get_id());
    });
    for (int lane = 0; lane < 3; ++lane) CHECK(calls[static_cast<size_t>(lane)] == (lane < n));
  }
  CHECK(std::set<std::thread::id>(threads.begin(), threads.end()).size() == 3);
}

TEST_CASE("a lane uses one thread, the others keep theirs") {
  const int before = Threads();
  Lanes lanes(2);
  std::vector<int> seen(2);
  lanes.Run(2, [&](int lane) { seen[static_cast<size_t>(lane)] = Threads(); });
  CHECK(seen == std::vector<int>{1, 1});
  CHECK(Threads() == before);
}

}  // namespace
}  // namespace roundel
