#pragma once
// Parallel loops with results that do not depend on the number of threads: the range is cut into
// chunks of fixed size, and reductions combine the results of chunks in their order.

#include <cstdint>
#include <functional>
#include <vector>

namespace roundel {

// 0 = all cores of the machine (the default).
void SetThreads(int threads);
int Threads();

// Calls body(begin, end) over [0, n) in chunks of `grain`; chunks may run concurrently.
void ParallelFor(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

// Maps each chunk to a T, then folds the results from left to right.
template <typename T, typename Map, typename Fold>
T ParallelReduce(int64_t n, int64_t grain, T init, const Map& map, const Fold& fold) {
  const int64_t chunks = n <= 0 ? 0 : (n + grain - 1) / grain;
  std::vector<T> partial(static_cast<size_t>(chunks), init);
  ParallelFor(n, grain,
              [&](int64_t begin, int64_t end) { partial[begin / grain] = map(begin, end); });
  T total = init;
  for (const T& part : partial) total = fold(total, part);
  return total;
}

}  // namespace roundel
