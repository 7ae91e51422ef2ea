#include <algorithm>

#include "lib/solver/descent.h"

#include "lib/solver/ldlq.h"
#include "lib/solver/nearest.h"
#include "lib/solver/scales.h"
#include "tests/lib/solver/layers.h"

namespace roundel::solver {
namespace {

std::vector<Problem> TwoGroups() { return {RandomProblem(1, 6, 31), RandomProblem(2, 6, 31)}; }

// No row got worse; with one scale for all, only the sum must not.
void CheckNotWorse(const GridSpec& spec, const Solution& before, const Solution& after) {
  if (spec.granularity == quant::Granularity::kTensor) {
    CHECK(after.error() <= before.error());
    return;
  }
  for (size_t row = 0; row < before.errors.size(); ++row)
    CHECK(after.errors[row] <= before.errors[row]);
}

// The error of a row with other codes, by the definition.
double With(const Problem& p, const Solution& s, const GridSpec& spec, int64_t row,
            std::vector<std::pair<int64_t, int32_t>> moves) {
  std::vector<double> w_hat;
  for (int64_t j = 0; j < p.n; ++j) {
    int32_t q = s.codes[row * p.n + j];
    for (const auto& [column, step] : moves)
      if (column == j) q += step;
    if (q < spec.grid.qmin() || q > spec.grid.qmax()) return 1e30;
    w_hat.push_back(quant::Dequantize(q, s.params[spec.ParamIndex(row, j, p.n)]));
  }
  return PlainError(p, row % p.m, w_hat);
}

}  // namespace

TEST_CASE("no step of polishing makes a row worse, from good and bad starts") {
  const std::vector<Problem> layer = TwoGroups();
  for (const GridSpec& spec : ManySpecs()) {
    INFO(NameOf(spec));
    const Solution starts[] = {RoundNearest(layer, spec, MinMaxScales(layer, spec)),
                               LdlqWithScales(layer, spec)};
    for (const Solution& start : starts) {
      Solution s = start;
      CoordinateDescent(layer, spec, &s);
      CheckSolution(layer, spec, s);
      CheckNotWorse(spec, start, s);
      Solution refitted = start;
      RefitScales(layer, spec, &refitted);
      CheckSolution(layer, spec, refitted);
      CheckNotWorse(spec, start, refitted);
      Solution polished = start;
      Polish(layer, spec, &polished);
      CheckSolution(layer, spec, polished);
      CheckNotWorse(spec, start, polished);
      CHECK(polished.error() < start.error());
    }
  }
}

TEST_CASE("after coordinate descent no other level of any code is better") {
  const std::vector<Problem> layer = TwoGroups();
  for (const GridSpec& spec : ManySpecs()) {
    if (spec.grid.bits > 3) continue;
    INFO(NameOf(spec));
    Solution s = RoundNearest(layer, spec, SeqMseScales(layer, spec));
    CoordinateDescent(layer, spec, &s);
    for (int64_t row = 0; row < 12; row += 3)
      for (int64_t j = 0; j < 31; ++j)
        for (int32_t step = -7; step <= 7; ++step)
          REQUIRE(With(layer[row / 6], s, spec, row, {{j, step}}) >= s.errors[row] * (1 - 1e-4));
  }
}

TEST_CASE("after polishing no two single steps together are better") {
  const std::vector<Problem> layer = TwoGroups();
  for (const GridSpec& spec : ManySpecs()) {
    if (spec.grid.bits != 3) continue;
    INFO(NameOf(spec));
    Solution s = RoundNearest(layer, spec, SeqMseScales(layer, spec));
    Solution singles = s;
    CoordinateDescent(layer, spec, &singles);
    Polish(layer, spec, &s, {.rounds = 100});
    CHECK(s.error() < singles.error());
    for (int64_t row = 0; row < 12; row += 5)
      for (int64_t i = 0; i < 31; ++i)
        for (int64_t j = 0; j < i; ++j)
          for (const int32_t a : {-1, 1})
            for (const int32_t b : {-1, 1})
              REQUIRE(With(layer[row / 6], s, spec, row, {{i, a}, {j, b}}) >=
                      s.errors[row] * (1 - 1e-3));
  }
}

TEST_CASE("polishing with lists of partners never makes a row worse") {
  const int64_t n = kAllPairs + 8;
  Random random(3);
  Problem p = PlainProblem(Weights(random, 2 * n), 2, n).value();
  const std::vector<float> x = Normals(random, 8 * n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t k = 0; k < 8; ++k) p.H[i * n + j] += x[k * n + i] * x[k * n + j];
  const GridSpec spec = Symmetric(3);
  const Solution start = RoundNearest({&p, 1}, spec, SeqMseScales({&p, 1}, spec));
  Solution singles = start, pairs = start;
  CoordinateDescent({&p, 1}, spec, &singles);
  Polish({&p, 1}, spec, &pairs);
  CheckNotWorse(spec, start, pairs);
  CHECK(pairs.error() < singles.error());
}

TEST_CASE("refitted scales are the best for their codes") {
  const std::vector<Problem> layer = TwoGroups();
  for (const GridSpec& spec : ManySpecs()) {
    if (spec.grid.bits != 4) continue;
    INFO(NameOf(spec));
    Solution s = RoundNearest(layer, spec, SeqMseScales(layer, spec));
    const double before = s.error();
    for (int round = 0; round < 30; ++round) RefitScales(layer, spec, &s);  // blocks take turns
    CHECK(s.error() < before);
    for (size_t i = 0; i < s.params.size(); ++i)
      for (const float factor : {0.98f, 1.02f}) {
        Solution other = s;
        other.params[i].scale *= factor;
        Score(layer, spec, &other);
        CHECK(other.error() > s.error());
      }
  }
}

TEST_CASE("a zero point moves where that is better for the codes") {
  Random random(4);
  const GridSpec spec{.grid = {.bits = 4}};
  std::vector<float> w = Normals(random, 40, 0.1);
  for (float& v : w) v += 0.3f;
  const Problem p = PlainProblem(w, 1, 40).value();
  // A zero point that is off by two: codes are right but for an offset.
  Solution s = RoundNearest({&p, 1}, spec, MinMaxScales({&p, 1}, spec));
  const double good = s.error();
  s.params[0].zero_point += 2;
  Score({&p, 1}, spec, &s);
  REQUIRE(s.error() > 5 * good);
  RefitScales({&p, 1}, spec, &s);
  CHECK(s.error() <= good);
}

TEST_CASE("polishing nothing, zeros and a zero H") {
  for (const GridSpec& spec : ManySpecs()) {
    const std::vector<std::vector<Problem>> layers = {
        {PlainProblem(std::vector<float>(6), 2, 3).value()},
        {PlainProblem({}, 0, 3).value()},
        {PlainProblem({}, 3, 0).value()},
        {}};
    for (const auto& layer : layers) {
      Solution s = RoundNearest(layer, spec, MinMaxScales(layer, spec));
      Polish(layer, spec, &s);
      CheckSolution(layer, spec, s);
      CHECK(s.error() == 0);
    }
    Problem blind = RandomProblem(5, 2, 7);
    std::fill(blind.H.begin(), blind.H.end(), 0.0f);
    Solution s = RoundNearest({&blind, 1}, spec, MinMaxScales({&blind, 1}, spec));
    const Solution before = s;
    Polish({&blind, 1}, spec, &s);
    CHECK(s.codes == before.codes);
    CHECK(s.params == before.params);
  }
}

TEST_CASE("polishing does not depend on the number of threads") {
  const std::vector<Problem> layer = TwoGroups();
  for (const GridSpec& spec : ManySpecs()) {
    if (spec.grid.bits != 3) continue;
    const int threads = Threads();
    Solution solutions[2];
    for (const int i : {0, 1}) {
      SetThreads(1 + 2 * i);
      solutions[i] = RoundNearest(layer, spec, SeqMseScales(layer, spec));
      Polish(layer, spec, &solutions[i]);
    }
    SetThreads(threads);
    CHECK(solutions[0].codes == solutions[1].codes);
    CHECK(solutions[0].params == solutions[1].params);
  }
}

}  // namespace roundel::solver
