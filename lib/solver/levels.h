#pragma once
// Codes as the solvers see them: levels x = q - zero_point, so that w^ = x * scale, with low <= x
// <= high.

#include "lib/solver/solution.h"

namespace roundel::solver {

struct Levels {
  float scale = 1, low = 0, high = 0;
};

inline Levels LevelsOf(const quant::QParams& params, const quant::Grid& grid) {
  return {params.scale, static_cast<float>(grid.qmin() - params.zero_point),
          static_cast<float>(grid.qmax() - params.zero_point)};
}

// The nearest level of v; NaN becomes a bound.
inline float NearestLevel(float v, const Levels& levels) {
  float x = __builtin_nearbyintf(v / levels.scale);
  x = x > levels.low ? x : levels.low;
  return x < levels.high ? x : levels.high;
}

inline int32_t CodeOf(float level, const quant::QParams& params) {
  return static_cast<int32_t>(level) + params.zero_point;
}

// A solution for the layer without chosen codes.
inline Solution EmptySolution(Layer layer, const GridSpec& spec, const Params& params) {
  Solution solution{.rows = NumRows(layer), .n = layer.empty() ? 0 : layer[0].n};
  INVARIANT(params.size() == spec.NumParams(solution.rows, solution.n),
            "parameters of another layer");
  solution.codes.resize(static_cast<size_t>(solution.rows * solution.n));
  solution.params = params;
  return solution;
}

}  // namespace roundel::solver
