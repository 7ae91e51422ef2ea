#include "lib/base/parallel.h"

#include <omp.h>

#include <algorithm>

#include "lib/base/machine.h"

namespace roundel {

void SetThreads(int threads) { omp_set_num_threads(threads > 0 ? threads : UsableThreads()); }
int Threads() { return omp_get_max_threads(); }

void ParallelFor(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (n <= 0) return;
  if (n <= grain || omp_get_max_threads() == 1 || omp_in_parallel()) {
    for (int64_t begin = 0; begin < n; begin += grain) body(begin, std::min(n, begin + grain));
    return;
  }
  const int64_t chunks = (n + grain - 1) / grain;
#pragma omp parallel for schedule(static)
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    body(chunk * grain, std::min(n, (chunk + 1) * grain));
}

}  // namespace roundel
