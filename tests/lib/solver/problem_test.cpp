#include <cmath>

#include "lib/solver/problem.h"

#include "tests/lib/solver/layers.h"

namespace roundel::solver {
namespace {

// Inputs x^ = x + noise and the targets of the clean ones.
Gram NoisyGram(uint64_t seed, int64_t m, int64_t n, int64_t rows, std::vector<float>* w) {
  Random random(seed);
  const std::vector<float> clean = Inputs(random, n).Draw(random, rows);
  *w = Weights(random, m * n);
  std::vector<float> x, y;
  for (const float v : clean) x.push_back(v + static_cast<float>(0.1 * random.Normal()));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t o = 0; o < m; ++o) {
      float sum = 0;
      for (int64_t j = 0; j < n; ++j) sum += clean[r * n + j] * (*w)[o * n + j];
      y.push_back(sum);
    }
  Gram gram(n, m, true);
  gram.Observe(x, y, rows);
  return gram;
}

// Mean squared output error plus the ridge `l` diag(H) around the original weights.
double Anchored(const Objective& objective, const std::vector<float>& weights, double l) {
  double sum = 0;
  for (const double e : OutputErrors(objective, weights)) sum += e;
  for (size_t i = 0; i < weights.size(); ++i) {
    const int64_t j = static_cast<int64_t>(i) % objective.n;
    sum += l * objective.H[j * objective.n + j] *
           std::pow(double{weights[i]} - double{objective.w[i]}, 2);
  }
  return sum;
}

}  // namespace

TEST_CASE("the target minimizes the output error plus the ridge") {
  std::vector<float> w;
  const Gram gram = NoisyGram(1, 3, 12, 4000, &w);
  const Objective objective = MakeObjective(gram, w, true).value();
  const Problem problem = MakeProblem(objective, ProblemOptions{}).value();
  const double ridge = 0.01;  // n / count is below the floor
  for (int64_t i = 0; i < 12; ++i)
    CHECK(problem.H[i * 13] == Approx(objective.H[i * 13] * 1.01).epsilon(1e-4));
  const double best = Anchored(objective, problem.target, ridge);
  CHECK(best < Anchored(objective, w, ridge));
  for (size_t i = 0; i < w.size(); ++i)
    for (const float step : {-1e-3f, 1e-3f}) {
      std::vector<float> other = problem.target;
      other[i] += step;
      CHECK(best <= Anchored(objective, other, ridge));
    }
}

TEST_CASE("what the solvers minimize is the output error up to a constant") {
  std::vector<float> w;
  const Gram gram = NoisyGram(2, 2, 10, 3000, &w);
  const Objective objective = MakeObjective(gram, w, true).value();
  const Problem problem = MakeProblem(objective, {.ridge_min = 0, .ridge_max = 0}).value();
  Random random(3);
  std::vector<double> constants[2];
  for (int trial = 0; trial < 4; ++trial) {
    std::vector<float> other = w;
    for (float& v : other) v += static_cast<float>(0.03 * random.Normal());
    const std::vector<double> direct = OutputErrors(objective, other);
    const std::vector<double> errors = RowErrors(problem, other);
    for (int o = 0; o < 2; ++o) constants[o].push_back(direct[o] - errors[o]);
  }
  for (const auto& c : constants)
    for (const double v : c) CHECK(v == Approx(c[0]).epsilon(1e-3));
}

TEST_CASE("the symmetric case keeps the original weights as targets") {
  std::vector<float> w;
  const Gram gram = NoisyGram(4, 2, 10, 3000, &w);
  CHECK(MakeProblem(gram, w, {.asymmetric = false}).value().target == w);
  Gram symmetric = gram;
  symmetric.yx.clear();
  symmetric.y.clear();
  symmetric.yy.clear();
  CHECK(MakeProblem(symmetric, w).value().target == w);
  CHECK(MakeProblem(gram, w).value().target != w);
}

TEST_CASE("few columns: more ridge, nearer to the original weights") {
  std::vector<float> w;
  const Gram gram = NoisyGram(5, 2, 20, 40, &w);  // n / count = 1/2
  const Objective objective = MakeObjective(gram, w, true).value();
  const Problem problem = MakeProblem(objective, ProblemOptions{}).value();
  CHECK(problem.H[1] == objective.H[1]);
  CHECK(problem.H[0] == Approx(1.5 * objective.H[0]).epsilon(1e-3));
  const Problem bold = MakeProblem(objective, {.ridge_max = 0.01}).value();
  double near = 0, far = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    near += std::pow(problem.target[i] - w[i], 2);
    far += std::pow(bold.target[i] - w[i], 2);
  }
  CHECK(near < far);
}

TEST_CASE("a large input does not drown the ridge of a small one, and a dead one gets some") {
  Gram gram(3, 1, false);
  gram.count = 1e6;
  gram.xx = {1e6, 0, 0, 0, 1e10, 0, 0, 0, 0};
  const Problem p = MakeProblem(gram, std::vector<float>{1, 1, 1}, {.free_bias = false}).value();
  CHECK(p.H[0] == Approx(1.01 + 0.01 * 1e-3 * 10001 / 3));
  CHECK(p.H[4] == Approx(10100).epsilon(1e-4));
  CHECK(p.H[8] > 0);
}

TEST_CASE("no data, dead inputs and singular statistics stay at the original weights") {
  const std::vector<float> w = {1, -2, 3, 0.5f, 0, -1};
  const Problem none = MakeProblem(Gram(3, 2, true), w).value();
  CHECK(none.target == w);
  CHECK(none.H == std::vector<float>{1, 0, 0, 0, 1, 0, 0, 0, 1});

  Gram constant(3, 2, true);  // never varies: nothing left once centered
  for (int i = 0; i < 5; ++i)
    constant.Observe(std::vector<float>{1, 2, 0}, std::vector<float>{1, 2}, 1);
  CHECK(MakeProblem(constant, w).value().target == w);

  Gram dead(3, 2, true);  // one input is always 0, the others are equal
  Random random(6);
  for (int i = 0; i < 50; ++i) {
    const auto v = static_cast<float>(random.Normal());
    dead.Observe(std::vector<float>{v, 0, v}, std::vector<float>{4.1f * v, -0.4f * v}, 1);
  }
  const Problem problem = MakeProblem(dead, w, {.ridge_min = 0, .ridge_max = 0}).value();
  CHECK(problem.target[1] == -2);
  CHECK(problem.target[0] + problem.target[2] == Approx(4.1).epsilon(1e-3));
  CHECK(problem.target[0] == Approx(1.05).epsilon(1e-2));
  CHECK(problem.target[2] == Approx(3.05).epsilon(1e-2));
}

TEST_CASE("inputs that are constant but not zero leave nothing but their mean") {
  constexpr int64_t n = 6, m = 2, rows = 20000;
  Random random(5);
  std::vector<float> w = Weights(random, m * n), x, y;
  for (int64_t r = 0; r < rows; ++r) {
    float sum[m] = {};
    for (int64_t j = 0; j < n; ++j) {
      const float exact = j == 1 || j == 4 ? 3.1f : static_cast<float>(random.Normal());
      x.push_back(j == 4 ? 2.9f : exact);
      for (int64_t o = 0; o < m; ++o) sum[o] += exact * w[o * n + j];
    }
    y.insert(y.end(), sum, sum + m);
  }
  Gram gram(n, m, true);
  for (int64_t r = 0; r < rows; r += 2000)
    gram.Observe(std::span(x).subspan(r * n, 2000 * n), std::span(y).subspan(r * m, 2000 * m),
                 2000);
  const Objective objective = MakeObjective(gram, w, true).value();
  const Problem problem = MakeProblem(objective, {.ridge_min = 1e-6, .ridge_max = 1e-6}).value();
  for (int64_t j = 0; j < n; ++j) {
    CHECK(objective.H[1 * n + j] == 0);
    CHECK(objective.H[j * n + 4] == 0);
  }
  for (size_t i = 0; i < w.size(); ++i) CHECK(problem.target[i] == Approx(w[i]).margin(1e-3));
  for (const double error : OutputErrors(objective, w)) CHECK(error < 1e-5);
}

TEST_CASE("sizes down to nothing") {
  CHECK(MakeProblem(Gram(0, 0, true), {}).ok());
  CHECK(MakeProblem(Gram(1, 1, false), std::vector<float>{2}).value().target[0] == 2);
  CHECK(MakeProblem(Gram(4, 0, true), {}).ok());
  CHECK(MakeProblem(Gram(0, 3, true), {}).ok());
}

TEST_CASE("statistics beyond what float holds are refused") {
  Gram huge(2, 1, false);
  huge.count = 1;
  huge.xx = {1e300, 0, 0, 1};
  CHECK_FALSE(MakeProblem(huge, std::vector<float>{1, 1}, {.free_bias = false}).ok());
}

}  // namespace roundel::solver
