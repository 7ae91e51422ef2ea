// Layers in low rank against the same layers with all of H, which the other tests hold against
// brute force.

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/solver/low_rank.h"

#include "lib/solver/adaround.h"
#include "lib/solver/descent.h"
#include "lib/solver/factor.h"
#include "lib/solver/ldlq.h"
#include "lib/solver/nearest.h"
#include "lib/solver/optimal.h"
#include "lib/solver/scales.h"
#include "tests/lib/solver/layers.h"

using namespace roundel;
using namespace roundel::solver;

namespace {

constexpr int64_t kInputs = 40, kOutputs = 24, kColumns = 12;

// The same columns as sums and one by one.
struct Both {
  std::vector<float> w;
  Gram gram{kInputs, kOutputs, true};
  Columns columns{.n = kInputs};
};

Both MakeBoth(uint64_t seed, bool same_inputs, int64_t count = kColumns) {
  Random random(seed);
  const Inputs inputs(random, kInputs);
  Both both{.w = Weights(random, kOutputs * kInputs)};
  const std::vector<float> reference = inputs.Draw(random, count);
  std::vector<float> x = reference;
  if (!same_inputs)
    for (float& v : x) v += static_cast<float>(0.05 * random.Normal());
  std::vector<float> y;
  for (int64_t r = 0; r < count; ++r)
    for (int64_t o = 0; o < kOutputs; ++o) {
      double sum = 0;
      for (int64_t j = 0; j < kInputs; ++j)
        sum += double{both.w[o * kInputs + j]} * reference[r * kInputs + j];
      y.push_back(static_cast<float>(sum));
    }
  both.gram.Observe(x, y, count);
  both.columns.Observe(x, reference, count);
  return both;
}

Problem Dense(const Problem& low) {
  Problem dense = low;
  dense.H = low.low_rank.Block(0, low.n);
  dense.low_rank = {};
  return dense;
}

void CheckNear(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  REQUIRE(a.size() == b.size());
  double scale = 1e-12;
  for (const double v : a) scale = std::max(scale, std::fabs(v));
  for (size_t i = 0; i < a.size(); ++i) CHECK(std::fabs(a[i] - b[i]) < tolerance * scale);
}

std::vector<double> Wide(const std::vector<float>& v) { return {v.begin(), v.end()}; }

GridSpec Spec(quant::Granularity granularity, bool symmetric = false) {
  return {.grid = {.bits = 3, .is_signed = symmetric, .symmetric = symmetric},
          .granularity = granularity,
          .block_size = 8};
}

}  // namespace

TEST_CASE("an objective of columns is that of their sums") {
  int checked = 0;
  for (const bool free_bias : {false, true})
    for (const bool same : {false, true}) {
      const Both both = MakeBoth(3, same);
      const Objective sums = MakeObjective(both.gram, both.w, free_bias).value();
      const Objective columns = MakeObjective(both.columns, both.w, free_bias).value();
      CheckNear(sums.power, columns.power, 1e-4);
      std::vector<float> w_hat = both.w;
      for (float& v : w_hat) v = std::round(v * 20) / 20;
      CheckNear(OutputErrors(sums, w_hat), OutputErrors(columns, w_hat), 1e-3);
      CheckNear(BestBiasShift(both.gram, both.w, w_hat), BestBiasShift(both.columns, both.w, w_hat),
                1e-4);
      ++checked;
    }
  CHECK(checked == 4);
}

TEST_CASE("targets and factors in low rank are those of all of H") {
  const Both both = MakeBoth(5, false);
  const ProblemOptions options{.ridge_min = 0.1, .ridge_max = 0.1};
  const Problem low =
      MakeProblem(MakeObjective(both.columns, both.w, true).value(), options).value();
  const Problem sums = MakeProblem(both.gram, both.w, options).value();
  CheckNear(Wide(sums.target), Wide(low.target), 1e-3);
  const Problem dense = Dense(low);
  CheckNear(Wide(sums.H), Wide(dense.H), 1e-3);
  for (const Order order : {Order::kNatural, Order::kActivation, Order::kReversed}) {
    REQUIRE(ColumnOrder(low, order) == ColumnOrder(dense, order));
    const Factor a = MakeFactor(low, ColumnOrder(low, order));
    const Factor b = MakeFactor(dense, ColumnOrder(dense, order));
    REQUIRE(a.low_rank());
    CheckNear(Wide(a.T), Wide(b.T), 1e-4);
    for (int64_t i = 0; i < low.n; ++i)
      for (int64_t j = i + 1; j < low.n; ++j) {
        double s = 0;
        for (int64_t k = 0; k < a.columns; ++k)
          s += double{a.u[i * a.columns + k]} * a.v[j * a.columns + k];
        CHECK(s == Approx(b.S[i * low.n + j]).margin(1e-3));
      }
  }
}

TEST_CASE("LDLQ in low rank reaches the errors of LDLQ on all of H") {
  int checked = 0;
  for (const auto granularity :
       {quant::Granularity::kTensor, quant::Granularity::kChannel, quant::Granularity::kBlock}) {
    const Both both = MakeBoth(7, false);
    const GridSpec spec = Spec(granularity);
    const std::vector<Problem> low = {
        MakeProblem(MakeObjective(both.columns, both.w, true).value(), {}).value()};
    const std::vector<Problem> dense = {Dense(low[0])};
    const Params params = MinMaxScales(low, spec);
    // Ties fall either way in float, so that single rows may differ.
    CHECK(Ldlq(low, spec, params).error() ==
          Approx(Ldlq(dense, spec, params).error()).epsilon(0.02));
    CHECK(LdlqWithScales(low, spec).error() ==
          Approx(LdlqWithScales(dense, spec).error()).epsilon(0.05));
    CHECK(RoundNearest(low, spec, params).error() ==
          Approx(RoundNearest(dense, spec, params).error()).epsilon(1e-3));
    ++checked;
  }
  CHECK(checked == 3);
}

TEST_CASE("descent in low rank ends where no single code can be better") {
  const Both both = MakeBoth(9, false);
  const GridSpec spec = Spec(quant::Granularity::kChannel);
  const std::vector<Problem> low = {
      MakeProblem(MakeObjective(both.columns, both.w, true).value(), {}).value()};
  const Problem dense = Dense(low[0]);
  Solution solution = RoundNearest(low, spec, MinMaxScales(low, spec));
  const double before = solution.error();
  CoordinateDescent(low, spec, &solution, 50);
  CHECK(solution.error() < before);
  for (int64_t row = 0; row < solution.rows; ++row) {
    const quant::QParams p = solution.params[row];
    std::vector<double> w_hat;
    for (int64_t j = 0; j < kInputs; ++j)
      w_hat.push_back(quant::Dequantize(solution.codes[row * kInputs + j], p));
    const double error = PlainError(dense, row, w_hat);
    for (int64_t j = 0; j < kInputs; ++j)
      for (const int step : {-1, 1}) {
        const int code = solution.codes[row * kInputs + j] + step;
        if (code < spec.grid.qmin() || code > spec.grid.qmax()) continue;
        std::vector<double> moved = w_hat;
        moved[j] = quant::Dequantize(code, p);
        CHECK(PlainError(dense, row, moved) > error * (1 - 1e-3) - 1e-9);
      }
  }
}

TEST_CASE("every solver takes layers in low rank, and ends below rounding to nearest") {
  int checked = 0;
  for (const auto granularity :
       {quant::Granularity::kTensor, quant::Granularity::kChannel, quant::Granularity::kBlock})
    for (const bool symmetric : {false, true}) {
      const Both both = MakeBoth(11, false, 30);
      const GridSpec spec = Spec(granularity, symmetric);
      const std::vector<Objective> objective = {MakeObjective(both.columns, both.w, true).value()};
      const std::vector<Problem> low = {MakeProblem(objective[0], {}).value()};
      REQUIRE(CheckSpec(low, spec).ok());
      const double nearest = RoundNearest(low, spec, MinMaxScales(low, spec)).error();
      CHECK(Optimal(low, spec, {.effort = 3}, objective).solution.error() < nearest);
      CHECK(RoundNearest(low, spec, SeqMseScales(low, spec)).error() <= nearest * 1.0001);
      CHECK(AdaRound(low, spec, MinMaxScales(low, spec)).error() < nearest);
      ++checked;
    }
  CHECK(checked == 6);
}

TEST_CASE("columns that tell nothing leave the weights alone") {
  const Both both = MakeBoth(13, true);
  const Columns none{.n = kInputs};
  const Problem problem =
      MakeProblem(MakeObjective(none, both.w, true).value(), ProblemOptions{}).value();
  CHECK(problem.target == both.w);
  CHECK(problem.Diagonal(0) == 1);
  Columns bad = both.columns;
  bad.x[3] = std::numeric_limits<float>::infinity();
  CHECK(MakeObjective(bad, both.w, true).status().kind() == ErrorKind::kData);
}
