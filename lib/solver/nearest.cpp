#include "lib/solver/nearest.h"

#include "lib/base/parallel.h"
#include "lib/solver/levels.h"

namespace roundel::solver {

Solution RoundNearest(Layer layer, const GridSpec& spec, const Params& params) {
  Solution solution = EmptySolution(layer, spec, params);
  const int64_t n = solution.n;
  ParallelFor(solution.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const Problem& problem = layer[row / layer[0].m];
      const float* target = problem.target.data() + row % problem.m * n;
      for (int64_t j = 0; j < n; ++j)
        solution.codes[row * n + j] = quant::Quantize(target[j], params[spec.ParamIndex(row, j, n)],
                                                      spec.grid.qmin(), spec.grid.qmax());
    }
  });
  Score(layer, spec, &solution);
  return solution;
}

}  // namespace roundel::solver
