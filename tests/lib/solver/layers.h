#pragma once
// Synthetic layers for the tests of the solvers, and the plain loops that they are measured by.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/solver/solution.h"
#include "tests/support/catch.h"

namespace roundel::solver {

// A layer of m rows of n weights without data: H = I, w* = w.
inline Result<Problem> PlainProblem(std::span<const float> w, int64_t m, int64_t n) {
  Problem problem{.m = m, .n = n};
  problem.target.assign(w.begin(), w.end());
  problem.w = problem.target;
  problem.H.assign(static_cast<size_t>(n * n), 0.0f);
  for (int64_t i = 0; i < n; ++i) problem.H[static_cast<size_t>(i * (n + 1))] = 1;
  return problem;
}

inline std::vector<float> Normals(Random& random, int64_t count, double scale = 1) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = static_cast<float>(scale * random.Normal());
  return values;
}

// [rows, n] inputs that hang together, as those of a layer behind a ReLU do. Every 48th is
// `outlier` times as large.
struct Inputs {
  int64_t n;
  std::vector<float> mixing;  // [n, n]
  bool relu = true;
  float outlier = 1;

  Inputs(Random& random, int64_t size) : n(size), mixing(Normals(random, size * size)) {
    for (int64_t k = 0; k < n; ++k)
      for (int64_t j = 0; j < n; ++j)
        mixing[k * n + j] *= static_cast<float>(std::pow(k + 1.0, -0.6));
  }
  std::vector<float> Draw(Random& random, int64_t rows) const {
    std::vector<float> x;
    for (int64_t r = 0; r < rows; ++r) {
      const std::vector<float> z = Normals(random, n);
      for (int64_t j = 0; j < n; ++j) {
        float v = 0;
        for (int64_t k = 0; k < n; ++k) v += z[k] * mixing[k * n + j];
        if (relu) v = std::max(0.0f, v + 0.3f);
        x.push_back(j % 48 == 0 ? v * outlier : v);
      }
    }
    return x;
  }
};

// Heavier tails than normal ones (Student's t of 6 degrees of freedom).
inline std::vector<float> Weights(Random& random, int64_t count) {
  std::vector<float> w = Normals(random, count, 0.05);
  for (float& v : w) {
    double square = 0;
    for (int i = 0; i < 6; ++i) square += std::pow(random.Normal(), 2);
    v /= static_cast<float>(std::sqrt(square / 6));
  }
  return w;
}

inline Problem RandomProblem(uint64_t seed, int64_t m, int64_t n, int64_t rows = 0) {
  Random random(seed);
  const Inputs inputs(random, n);
  const std::vector<float> w = Weights(random, m * n);
  const int64_t columns = rows > 0 ? rows : 20 * n + 20;
  Gram gram(n, m, false);
  gram.Observe(inputs.Draw(random, columns), {}, columns);
  return MakeProblem(gram, w).value();
}

// (w^ - w*)^T H (w^ - w*) of one row by the definition, in double.
inline double PlainError(const Problem& p, int64_t row, const std::vector<double>& w_hat) {
  double sum = 0;
  for (int64_t i = 0; i < p.n; ++i)
    for (int64_t j = 0; j < p.n; ++j)
      sum += (w_hat[i] - double{p.target[row * p.n + i]}) * double{p.H[i * p.n + j]} *
             (w_hat[j] - double{p.target[row * p.n + j]});
  return sum;
}

// What one row of one group costs at given parameters when each weight takes the code `pick` says.
template <typename Pick>
double ErrorOf(const Problem& p, int64_t row, quant::QParams params, const Pick& pick) {
  std::vector<double> w_hat;
  for (int64_t j = 0; j < p.n; ++j) w_hat.push_back(quant::Dequantize(pick(j), params));
  return PlainError(p, row, w_hat);
}

inline double NearestError(const Problem& p, int64_t row, quant::QParams params,
                           const quant::Grid& grid) {
  return ErrorOf(p, row, params, [&](int64_t j) {
    return quant::Quantize(p.target[row * p.n + j], params, grid.qmin(), grid.qmax());
  });
}

// The contract of every solution: codes on the grid, and errors that the consumer's weights really
// have.
inline void CheckSolution(Layer layer, const GridSpec& spec, const Solution& s) {
  const int64_t rows = NumRows(layer), n = layer.empty() ? 0 : layer[0].n;
  REQUIRE(s.rows == rows);
  REQUIRE(s.codes.size() == static_cast<size_t>(rows * n));
  REQUIRE(s.params.size() == spec.NumParams(rows, n));
  REQUIRE(s.errors.size() == static_cast<size_t>(rows));
  for (const int32_t q : s.codes) REQUIRE((q >= spec.grid.qmin() && q <= spec.grid.qmax()));
  for (const quant::QParams& p : s.params) {
    REQUIRE(std::isnormal(p.scale));
    if (!spec.signed_scale) REQUIRE(p.scale > 0);
    REQUIRE((p.zero_point >= spec.grid.qmin() && p.zero_point <= spec.grid.qmax()));
  }
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<double> w_hat;
    for (int64_t j = 0; j < n; ++j) {
      const quant::QParams p = s.params[spec.ParamIndex(row, j, n)];
      w_hat.push_back(static_cast<float>(s.codes[row * n + j] - p.zero_point) * p.scale);
    }
    const Problem& problem = layer[row / layer[0].m];
    CHECK(s.errors[row] ==
          Approx(PlainError(problem, row % problem.m, w_hat)).epsilon(1e-6).margin(1e-12));
  }
}

inline GridSpec Symmetric(int bits) {
  return {.grid = {.bits = bits, .is_signed = true, .symmetric = true}};
}

// Every granularity and kind of grid.
inline std::vector<GridSpec> ManySpecs() {
  using quant::Granularity;
  std::vector<GridSpec> specs;
  for (const int bits : {2, 3, 4, 8})
    for (const Granularity g : {Granularity::kTensor, Granularity::kChannel, Granularity::kBlock})
      for (int kind = 0; kind < 4; ++kind) {
        GridSpec spec = Symmetric(bits);
        spec.granularity = g;
        if (g == Granularity::kBlock) spec.block_size = 5;
        if (kind == 1) spec.grid.narrow_range = true;
        if (kind == 2) spec.grid = {.bits = bits};
        if (kind == 3) spec.signed_scale = true;
        specs.push_back(spec);
      }
  return specs;
}

inline std::string NameOf(const GridSpec& spec) {
  return spec.grid.Name() + " granularity " + std::to_string(static_cast<int>(spec.granularity)) +
         (spec.signed_scale ? " signed scale" : "");
}

}  // namespace roundel::solver
