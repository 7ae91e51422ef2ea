#include "lib/solver/ternary.h"

#include <limits>

#include "tests/lib/solver/layers.h"

namespace roundel::solver {
namespace {

using quant::Granularity;

GridSpec Spec(Granularity granularity = Granularity::kChannel) {
  return {.grid = TernaryGrid(), .granularity = granularity, .block_size = 5};
}

// The least (w* - s x)^T H (w* - s x) over all x with entries from `values` and all real s.
double BruteForce(const Problem& p, int64_t row, const std::vector<int>& values) {
  std::vector<size_t> at(static_cast<size_t>(p.n), 0);
  const std::vector<double> zeros(static_cast<size_t>(p.n));
  const double all = PlainError(p, row, zeros);
  double best = std::numeric_limits<double>::infinity();
  while (true) {
    double slope = 0, curvature = 0;
    for (int64_t i = 0; i < p.n; ++i)
      for (int64_t j = 0; j < p.n; ++j) {
        const double xh = values[at[i]] * double{p.H[i * p.n + j]};
        slope += xh * p.target[row * p.n + j];
        curvature += xh * values[at[j]];
      }
    if (curvature > 0 && slope > 0) best = std::min(best, all - slope * slope / curvature);
    size_t j = 0;
    while (j < at.size() && at[j] + 1 == values.size()) at[j++] = 0;
    if (j == at.size()) return best;
    ++at[j];
  }
}

}  // namespace

TEST_CASE("three values: the scale of the mean, and codes by it") {
  const Problem p = PlainProblem(std::vector<float>{0.9f, -0.2f, 0.1f, -0.8f}, 1, 4).value();
  const Solution s = Ternary({&p, 1}, Spec(), TernaryMethod::kAbsMean);
  CHECK(s.params[0].scale == Approx(0.5));
  CHECK(s.codes == std::vector<int32_t>{1, 0, 0, -1});  // 0.9/0.5 is beyond the grid
}

TEST_CASE("three values: least squares is the optimum over all codes and scales") {
  for (uint64_t seed = 1; seed < 6; ++seed) {
    Random random(seed);
    const Problem p = PlainProblem(Weights(random, 14), 2, 7).value();
    const Solution s = Ternary({&p, 1}, Spec(), TernaryMethod::kLeastSquares);
    CheckSolution({&p, 1}, Spec(), s);
    for (int64_t row = 0; row < 2; ++row)
      CHECK(s.errors[row] == Approx(BruteForce(p, row, {-1, 0, 1})).epsilon(1e-5));
  }
}

TEST_CASE("three values by the output: never worse than the others, and near the optimum") {
  double mine = 0, optimum = 0, least_squares = 0;
  for (uint64_t seed = 1; seed < 8; ++seed) {
    const Problem p = RandomProblem(seed, 3, 7);
    const Solution s = Ternary({&p, 1}, Spec(), TernaryMethod::kOutput);
    CheckSolution({&p, 1}, Spec(), s);
    const Solution by_mean = Ternary({&p, 1}, Spec(), TernaryMethod::kAbsMean);
    const Solution by_weight = Ternary({&p, 1}, Spec(), TernaryMethod::kLeastSquares);
    for (int64_t row = 0; row < 3; ++row) {
      const double best = BruteForce(p, row, {-1, 0, 1});
      CHECK(s.errors[row] >= best * (1 - 1e-4));
      CHECK(s.errors[row] <= by_mean.errors[row]);
      CHECK(s.errors[row] <= by_weight.errors[row]);
      mine += s.errors[row];
      optimum += best;
      least_squares += by_weight.errors[row];
    }
  }
  CHECK(mine < 1.15 * optimum);
  CHECK(mine < 0.9 * least_squares);
}

TEST_CASE("two values: the mean is least squares, by the output is better and near the optimum") {
  double mine = 0, optimum = 0, by_mean = 0;
  for (uint64_t seed = 1; seed < 6; ++seed) {
    Random random(seed);
    const Problem plain = PlainProblem(Weights(random, 16), 2, 8).value();
    const Solution signs = Binary({&plain, 1}, Spec(), BinaryMethod::kAbsMean);
    for (int64_t row = 0; row < 2; ++row)
      CHECK(signs.errors[row] == Approx(BruteForce(plain, row, {-1, 1})).epsilon(1e-5));
    const Problem p = RandomProblem(seed, 3, 8);
    const Solution s = Binary({&p, 1}, Spec(), BinaryMethod::kOutput);
    CheckSolution({&p, 1}, Spec(), s);
    for (const int32_t q : s.codes) CHECK(std::abs(q) == 1);
    const Solution start = Binary({&p, 1}, Spec(), BinaryMethod::kAbsMean);
    for (int64_t row = 0; row < 3; ++row) {
      CHECK(s.errors[row] <= start.errors[row]);
      mine += s.errors[row];
      by_mean += start.errors[row];
      optimum += BruteForce(p, row, {-1, 1});
    }
  }
  CHECK(mine < by_mean);
  CHECK(mine < 1.5 * optimum);
}

TEST_CASE("scales per block and per layer; zeros and nothing") {
  const std::vector<Problem> layer = {RandomProblem(1, 3, 12), RandomProblem(2, 3, 12)};
  for (const Granularity g : {Granularity::kTensor, Granularity::kChannel, Granularity::kBlock}) {
    const GridSpec spec = Spec(g);
    double previous = std::numeric_limits<double>::infinity();
    for (const TernaryMethod method : {TernaryMethod::kLeastSquares, TernaryMethod::kOutput}) {
      const Solution s = Ternary(layer, spec, method);
      CheckSolution(layer, spec, s);
      CHECK(s.error() <= previous);
      previous = s.error();
    }
    for (const BinaryMethod method : {BinaryMethod::kAbsMean, BinaryMethod::kOutput})
      CheckSolution(layer, spec, Binary(layer, spec, method));
    const Problem zero = PlainProblem(std::vector<float>(6), 2, 3).value();
    CHECK(Ternary({&zero, 1}, spec, TernaryMethod::kOutput).error() == 0);
    CheckSolution({&zero, 1}, spec, Binary({&zero, 1}, spec, BinaryMethod::kOutput));
    const Problem none = PlainProblem({}, 0, 3).value();
    CheckSolution({&none, 1}, spec, Ternary({&none, 1}, spec, TernaryMethod::kOutput));
    CheckSolution({&none, 1}, spec, Binary({&none, 1}, spec, BinaryMethod::kOutput));
  }
}

}  // namespace roundel::solver
