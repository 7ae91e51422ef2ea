#include "lib/matmul/sgemm.h"

#include <dnnl.h>

#include "lib/base/check.h"

namespace roundel::engine {

void MultiplyTransposed(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* y) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (int64_t i = 0; i < m * n; ++i) y[i] = 0;
    return;
  }
  const dnnl_status_t status = dnnl_sgemm('N', 'T', m, n, k, 1.0f, a, k, b, k, 0.0f, y, n);
  INVARIANT(status == dnnl_success, "sgemm refuses its arguments");
}

}  // namespace roundel::engine
