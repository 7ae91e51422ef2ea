#include "lib/solver/closest_vector.h"

#include <algorithm>
#include <limits>

#include "lib/solver/descent.h"
#include "lib/solver/ldlq.h"
#include "lib/solver/nearest.h"
#include "lib/solver/scales.h"
#include "tests/lib/solver/layers.h"

namespace roundel::solver {
namespace {

// The least error over all codes that there are, at the parameters of `s`.
double BruteForce(const Problem& p, const GridSpec& spec, const Solution& s, int64_t row) {
  const int32_t low = spec.grid.qmin(), high = spec.grid.qmax();
  std::vector<int32_t> codes(static_cast<size_t>(p.n), low);
  double best = std::numeric_limits<double>::infinity();
  while (true) {
    std::vector<double> w_hat;
    for (int64_t j = 0; j < p.n; ++j)
      w_hat.push_back(quant::Dequantize(codes[j], s.params[spec.ParamIndex(row, j, p.n)]));
    best = std::min(best, PlainError(p, row, w_hat));
    int64_t j = 0;
    while (j < p.n && codes[j] == high) codes[j++] = low;
    if (j == p.n) return best;
    ++codes[j];
  }
}

}  // namespace

TEST_CASE("the search finds the best of all codes, from any start") {
  for (const GridSpec& spec : ManySpecs()) {
    if (spec.grid.bits > 3) continue;
    INFO(NameOf(spec));
    const int64_t n = spec.grid.bits == 2 ? 6 : 4;
    const Problem p = RandomProblem(1, 3, n);
    const Params params = SeqMseScales({&p, 1}, spec);
    Solution starts[] = {RoundNearest({&p, 1}, spec, params), RoundNearest({&p, 1}, spec, params)};
    for (int32_t& q : starts[1].codes) q = spec.grid.qmax();
    Score({&p, 1}, spec, &starts[1]);
    for (Solution& s : starts) {
      CHECK(ClosestVector({&p, 1}, spec, &s) == 3);
      CheckSolution({&p, 1}, spec, s);
      for (int64_t row = 0; row < 3; ++row)
        CHECK(s.errors[row] == Approx(BruteForce(p, spec, s, row)).epsilon(1e-4));
    }
  }
}

TEST_CASE("no heuristic beats the search on a depthwise kernel") {
  for (const int bits : {2, 3, 4, 8}) {
    const GridSpec spec = Symmetric(bits);
    std::vector<Problem> layer;
    for (uint64_t g = 0; g < 12; ++g) layer.push_back(RandomProblem(20 + g, 1, 9));
    const Params params = SeqMseScales(layer, spec);
    Solution exact = RoundNearest(layer, spec, params);
    const Solution nearest = exact;
    CHECK(ClosestVector(layer, spec, &exact) == 12);
    Solution pairs = Ldlq(layer, spec, params);
    const Solution ldlq = pairs;
    CoordinateDescent(layer, spec, &pairs);
    for (int row = 0; row < 12; ++row) {
      CHECK(exact.errors[row] <= nearest.errors[row] * (1 + 1e-6));
      CHECK(exact.errors[row] <= ldlq.errors[row] * (1 + 1e-6));
      CHECK(exact.errors[row] <= pairs.errors[row] * (1 + 1e-6));
    }
    CHECK(exact.error() < nearest.error());
  }
}

TEST_CASE("a search that is cut short keeps its start or better, and proves nothing") {
  const Problem p = RandomProblem(3, 2, 14);
  const GridSpec spec = Symmetric(4);
  Solution s = RoundNearest({&p, 1}, spec, MinMaxScales({&p, 1}, spec));
  const Solution start = s;
  CHECK(ClosestVector({&p, 1}, spec, &s, {.max_nodes = 20}) == 0);
  for (int row = 0; row < 2; ++row) CHECK(s.errors[row] <= start.errors[row]);
}

TEST_CASE("too many columns are left alone, singular statistics, zeros and nothing are safe") {
  const GridSpec spec = Symmetric(4);
  const Problem wide = RandomProblem(4, 2, kClosestVectorColumns + 1);
  Solution s = RoundNearest({&wide, 1}, spec, MinMaxScales({&wide, 1}, spec));
  const std::vector<int32_t> codes = s.codes;
  CHECK(ClosestVector({&wide, 1}, spec, &s) == 0);
  CHECK(s.codes == codes);

  for (const float fill : {0.0f, 1.0f}) {
    Problem p = RandomProblem(5, 2, 6);
    std::fill(p.H.begin(), p.H.end(), fill);
    Solution singular = RoundNearest({&p, 1}, spec, MinMaxScales({&p, 1}, spec));
    const double before = singular.error();
    ClosestVector({&p, 1}, spec, &singular);
    CheckSolution({&p, 1}, spec, singular);
    CHECK(singular.error() <= before);
  }
  const Problem none = PlainProblem({}, 0, 3).value();
  Solution empty = RoundNearest({&none, 1}, spec, {});
  CHECK(ClosestVector({&none, 1}, spec, &empty) == 0);
}

}  // namespace roundel::solver
