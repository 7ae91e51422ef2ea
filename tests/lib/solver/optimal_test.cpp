#include <algorithm>

#include "lib/solver/optimal.h"

#include "lib/solver/adaround.h"
#include "lib/solver/descent.h"
#include "lib/solver/ldlq.h"
#include "lib/solver/nearest.h"
#include "lib/solver/scales.h"
#include "tests/lib/solver/layers.h"

namespace roundel::solver {
namespace {

// Calibration and held-out data of one group.
struct Split {
  Problem problem;
  Objective held_out;

  Split(uint64_t seed, int64_t m, int64_t n, int64_t rows, float outlier = 1) {
    Random random(seed);
    Inputs inputs(random, n);
    inputs.outlier = outlier;
    inputs.relu = outlier == 1;
    const std::vector<float> w = Weights(random, m * n);
    Gram gram(n, m, false), other(n, m, false);
    gram.Observe(inputs.Draw(random, rows), {}, rows);
    other.Observe(inputs.Draw(random, rows), {}, rows);
    problem = MakeProblem(gram, w).value();
    held_out = MakeObjective(other, w, true).value();
  }
};

}  // namespace

TEST_CASE("the solvers rank as their theory says, on calibration data and held-out data") {
  // Layers like those of a convolutional network, and with the outlier channels of language models.
  for (const float outlier : {1.0f, 15.0f})
    for (const int bits : {4, 3, 2}) {
      INFO(bits << " bits, outliers of " << outlier);
      const int64_t n = outlier == 1 ? 144 : 192;
      const Split data(1, 24, n, 2048, outlier);
      const Layer layer(&data.problem, 1);
      const GridSpec spec = Symmetric(bits);
      const Params seq_mse = SeqMseScales(layer, spec);
      Solution polished = LdlqWithScales(layer, spec);
      Polish(layer, spec, &polished);
      const Solution ranking[] = {Optimal(layer, spec).solution,
                                  polished,
                                  LdlqWithScales(layer, spec),
                                  Ldlq(layer, spec, seq_mse),
                                  ExactScales(layer, spec),
                                  RoundNearest(layer, spec, seq_mse),
                                  RoundNearest(layer, spec, MinMaxScales(layer, spec))};
      double better = 0, better_held_out = 0;
      for (const Solution& s : ranking) {
        double held_out = 0;
        for (const double e : OutputErrors({&data.held_out, 1}, s, spec)) held_out += e;
        CHECK(better <= s.error());
        CHECK(better_held_out <= held_out * 1.03);
        better = s.error();
        better_held_out = held_out;
      }
      const Solution adaround = AdaRound(layer, spec, seq_mse);
      CHECK(adaround.error() < RoundNearest(layer, spec, seq_mse).error());
      CHECK(ranking[0].error() < adaround.error());
    }
}

TEST_CASE("every grid and granularity gets better than nearest") {
  const std::vector<Problem> layer = {RandomProblem(1, 5, 26), RandomProblem(2, 5, 26)};
  for (const GridSpec& spec : ManySpecs()) {
    INFO(NameOf(spec));
    const OptimalResult result = Optimal(layer, spec);
    CheckSolution(layer, spec, result.solution);
    const double nearest = RoundNearest(layer, spec, SeqMseScales(layer, spec)).error();
    double recorded = 0;
    for (const double e : result.nearest_errors) recorded += e;
    CHECK(recorded == Approx(nearest));
    CHECK(result.solution.error() < 0.8 * nearest);
    CHECK(Optimal(layer, spec, {.effort = 1}).solution.error() < nearest);
    CHECK(Optimal(layer, spec, {.effort = 3}).solution.error() < nearest);
  }
}

TEST_CASE("depthwise kernels: proven, and no scale nearby has better codes") {
  std::vector<Problem> layer;
  for (uint64_t g = 0; g < 10; ++g) layer.push_back(RandomProblem(30 + g, 1, 9));
  const GridSpec spec = Symmetric(4);
  const OptimalResult result = Optimal(layer, spec);
  CheckSolution(layer, spec, result.solution);
  CHECK(result.proven == 10);
  for (int i = -40; i <= 40; ++i) {
    Params params = result.solution.params;
    for (quant::QParams& p : params) p.scale *= 1 + 0.005f * static_cast<float>(i);
    Solution other = Ldlq(layer, spec, params);
    for (size_t row = 0; row < 10; ++row)
      CHECK(result.solution.errors[row] <= other.errors[row] * (1 + 1e-5));
  }
}

TEST_CASE("held-out data has the last word: no row worse than nearest there") {
  for (const GridSpec& spec : ManySpecs()) {
    INFO(NameOf(spec));
    // So few columns that the calibration data does not determine the weights.
    const Split a(5, 12, 60, 30), b(6, 12, 60, 30);
    const std::vector<Problem> layer = {a.problem, b.problem};
    const std::vector<Objective> held_out = {a.held_out, b.held_out};
    const OptimalResult result = Optimal(layer, spec, {}, held_out);
    CheckSolution(layer, spec, result.solution);
    const Solution nearest = RoundNearest(layer, spec, SeqMseScales(layer, spec));
    const std::vector<double> mine = OutputErrors(held_out, result.solution, spec);
    const std::vector<double> theirs = OutputErrors(held_out, nearest, spec);
    double sum = 0, sum_nearest = 0;
    for (size_t row = 0; row < 24; ++row) {
      sum += mine[row];
      sum_nearest += theirs[row];
      CHECK(result.held_out[row] == Approx(mine[row]));
      CHECK(result.held_out_nearest[row] == Approx(theirs[row]));
      if (spec.granularity != quant::Granularity::kTensor)
        CHECK(mine[row] <= theirs[row] * (1 + 1e-9));
    }
    CHECK(sum <= sum_nearest * (1 + 1e-9));
  }
}

TEST_CASE("nothing, zeros, single columns and blind statistics") {
  Problem blind = RandomProblem(7, 2, 6);
  std::fill(blind.H.begin(), blind.H.end(), 0.0f);
  const std::vector<std::vector<Problem>> layers = {
      {blind},
      {PlainProblem(std::vector<float>(6), 2, 3).value()},
      {PlainProblem(std::vector<float>{0.7f, -3}, 2, 1).value()},
      {PlainProblem({}, 0, 3).value()},
      {PlainProblem({}, 3, 0).value()},
      {}};
  for (const auto& layer : layers)
    for (const GridSpec& spec : ManySpecs()) {
      INFO(NameOf(spec));
      const OptimalResult result = Optimal(layer, spec);
      CheckSolution(layer, spec, result.solution);
      if (!(layer.size() == 1 && layer[0].n == 1 && layer[0].m > 0))
        CHECK(result.solution.error() == 0);
    }
}

TEST_CASE("the optimum does not depend on the number of threads") {
  const Split data(8, 70, 100, 1000);
  const int threads = Threads();
  for (const GridSpec& spec : ManySpecs()) {
    if (spec.grid.bits != 4) continue;
    SetThreads(1);
    const OptimalResult one = Optimal({&data.problem, 1}, spec, {}, {&data.held_out, 1});
    SetThreads(3);
    const OptimalResult three = Optimal({&data.problem, 1}, spec, {}, {&data.held_out, 1});
    CHECK(one.solution.codes == three.solution.codes);
    CHECK(one.solution.params == three.solution.params);
    CHECK(one.held_out == three.held_out);
  }
  SetThreads(threads);
}

}  // namespace roundel::solver
