#include "lib/base/lanes.h"

#include <algorithm>
#include <atomic>
#include <set>

#include "lib/base/parallel.h"
#include "tests/support/catch.h"

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

TEST_CASE("two sides share the caller's threads, with one thread they follow each other") {
  const int before = Threads();
  for (const int threads : {1, 2, 5, 8}) {
    SetThreads(threads);
    TwoSides sides;
    std::vector<int> seen(2);
    std::vector<std::thread::id> ids(2);
    for (int round = 0; round < 3; ++round) {
      std::atomic<int> running = 0, most = 0;
      sides.Run([&](int side) {
        const int now = ++running;
        most = std::max<int>(most, now);
        seen[static_cast<size_t>(side)] = Threads();
        ids[static_cast<size_t>(side)] = std::this_thread::get_id();
        // Each waits for the other, which only two at the same time can do.
        while (threads > 1 && most < 2) std::this_thread::yield();
        --running;
      });
      CHECK(most == (threads > 1 ? 2 : 1));
      CHECK(seen == std::vector<int>(2, std::max(1, threads / 2)));
      CHECK((ids[0] == ids[1]) == (threads == 1));
    }
    CHECK(Threads() == threads);
  }
  SetThreads(before);
}

}  // namespace
}  // namespace roundel
