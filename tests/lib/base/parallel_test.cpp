#include "lib/base/parallel.h"

#include <atomic>
#include <cmath>

#include "tests/support/catch.h"

namespace roundel {
namespace {

// Sums that depend on the order of additions.
double Sum(int64_t n, int64_t grain) {
  return ParallelReduce(
      n, grain, 0.0,
      [](int64_t begin, int64_t end) {
        double sum = 0;
        for (int64_t i = begin; i < end; ++i) sum += std::sin(static_cast<double>(i)) * 1e10;
        return sum;
      },
      [](double a, double b) { return a + b; });
}

struct AllThreads {
  ~AllThreads() { SetThreads(0); }
};

}  // namespace

TEST_CASE("every index once, in chunks of the grain") {
  const AllThreads restore;
  for (const int threads : {1, 2, 5})
    for (const int64_t n : {0, 1, 7, 8, 9, 100})
      for (const int64_t grain : {1, 8, 1000}) {
        SetThreads(threads);
        std::vector<std::atomic<int>> seen(static_cast<size_t>(n));
        std::atomic<bool> aligned{true};
        ParallelFor(n, grain, [&](int64_t begin, int64_t end) {
          if (begin % grain != 0 || end - begin > grain) aligned = false;
          for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
        });
        CHECK(aligned);
        for (const auto& count : seen) REQUIRE(count == 1);
      }
}

TEST_CASE("results do not depend on the number of threads") {
  const AllThreads restore;
  SetThreads(1);
  const double expected = Sum(100'001, 1000);
  for (const int threads : {2, 3, 8}) {
    SetThreads(threads);
    CHECK(Threads() == threads);
    CHECK(Sum(100'001, 1000) == expected);
  }
  CHECK(Sum(0, 10) == 0);
}

TEST_CASE("loops inside of loops run in place") {
  std::atomic<int> total{0};
  ParallelFor(10, 1,
              [&](int64_t, int64_t) { ParallelFor(10, 1, [&](int64_t, int64_t) { ++total; }); });
  CHECK(total == 100);
}

}  // namespace roundel
