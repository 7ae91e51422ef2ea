#include "lib/solver/ldlq.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lib/solver/nearest.h"
#include "lib/solver/scales.h"
#include "lib/solver/vector_rounding.h"
#include "tests/lib/solver/layers.h"

namespace roundel::solver {
namespace {

using Matrix = std::vector<std::vector<double>>;

Matrix Inverse(const Problem& p) {  // Gauss-Jordan; H is positive definite
  const auto n = static_cast<size_t>(p.n);
  Matrix a(n, std::vector<double>(2 * n));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) a[i][j] = p.H[i * n + j];
    a[i][n + i] = 1;
  }
  for (size_t i = 0; i < n; ++i) {
    const double pivot = a[i][i];
    for (double& v : a[i]) v /= pivot;
    for (size_t k = 0; k < n; ++k) {
      if (k == i) continue;
      const double factor = a[k][i];
      for (size_t j = 0; j < 2 * n; ++j) a[k][j] -= factor * a[i][j];
    }
  }
  Matrix inverse(n);
  for (size_t i = 0; i < n; ++i) inverse[i].assign(a[i].begin() + static_cast<long>(n), a[i].end());
  return inverse;
}

// GPTQ as its paper has it, in double: what a column cannot represent is spread over the columns
// that are still free by the inverse of H, which then loses that column.
std::vector<int32_t> PlainGptq(const Problem& p, int64_t row, const std::vector<int64_t>& order,
                               const GridSpec& spec, const Params& params) {
  Matrix inverse = Inverse(p);
  std::vector<double> w(p.target.begin() + row * p.n, p.target.begin() + (row + 1) * p.n);
  std::vector<int32_t> codes(w.size());
  for (const int64_t j : order) {
    const quant::QParams q = params[spec.ParamIndex(row, j, p.n)];
    codes[j] = quant::Quantize(static_cast<float>(w[j]), q, spec.grid.qmin(), spec.grid.qmax());
    const double error = (w[j] - double{quant::Dequantize(codes[j], q)}) / inverse[j][j];
    const std::vector<double> column = inverse[j];
    for (size_t k = 0; k < w.size(); ++k) w[k] -= error * column[k];
    for (size_t a = 0; a < w.size(); ++a)
      for (size_t b = 0; b < w.size(); ++b) inverse[a][b] -= column[a] * column[b] / column[j];
  }
  return codes;
}

std::vector<int64_t> OrderOf(const Problem& p, Order order) {
  std::vector<int64_t> columns(static_cast<size_t>(p.n));
  std::iota(columns.begin(), columns.end(), 0);
  if (order == Order::kReversed) std::reverse(columns.begin(), columns.end());
  if (order == Order::kActivation)
    std::stable_sort(columns.begin(), columns.end(),
                     [&](int64_t a, int64_t b) { return p.H[a * p.n + a] > p.H[b * p.n + b]; });
  return columns;
}

}  // namespace

TEST_CASE("the factors multiply to H in every order") {
  const Problem p = RandomProblem(1, 1, 130);
  for (const Order order : {Order::kNatural, Order::kActivation, Order::kReversed}) {
    const Factor f = MakeFactor(p, ColumnOrder(p, order));
    CHECK(f.order == OrderOf(p, order));
    for (int64_t a = 0; a < 130; a += 7)
      for (int64_t b = 0; b < 130; b += 3) {
        double sum = 0;
        for (int64_t k = std::max(a, b); k < 130; ++k)
          sum += (k == a ? 1.0 : double{f.S[a * 130 + k]}) * double{f.T[k]} *
                 (k == b ? 1.0 : double{f.S[b * 130 + k]});
        REQUIRE(sum == Approx(p.H[f.order[a] * 130 + f.order[b]]).epsilon(1e-3).margin(1e-4));
      }
  }
}

TEST_CASE("blocks stay together in the order by activation") {
  const Problem p = RandomProblem(2, 1, 22);
  const std::vector<int64_t> order = ColumnOrderOfBlocks(p, 5, Order::kActivation);
  std::vector<int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == OrderOf(p, Order::kNatural));
  int changes = 0;
  for (size_t i = 1; i < order.size(); ++i) {
    changes += order[i] / 5 != order[i - 1] / 5;
    if (order[i] / 5 == order[i - 1] / 5) CHECK(p.H[order[i - 1] * 23] >= p.H[order[i] * 23]);
  }
  CHECK(changes == 4);
}

TEST_CASE("the sum of T eps^2 is the error, with feedback and without") {
  const Problem p = RandomProblem(3, 4, 100);
  const GridSpec spec = Symmetric(3);
  const Params params = SeqMseScales({&p, 1}, spec);
  const Factor factor = MakeFactor(p, ColumnOrder(p, Order::kActivation));
  for (const bool feedback : {false, true}) {
    VectorBatch batch(factor, feedback);
    VectorLevels levels;
    for (int64_t row = 0; row < 4; ++row) {
      batch.SetTarget(row, p.target.data() + row * 100);
      levels.Set(row, LevelsOf(params[row], spec.grid));
    }
    batch.RoundAll(levels);
    for (int64_t row = 0; row < 4; ++row) {
      std::vector<double> w_hat(100);
      for (int64_t k = 0; k < 100; ++k)
        w_hat[factor.order[k]] = batch.level(k, row) * params[row].scale;
      CHECK(batch.loss(row) == Approx(PlainError(p, row, w_hat)).epsilon(1e-4));
      if (!feedback)
        CHECK(batch.loss(row) ==
              Approx(NearestError(p, row, params[row], spec.grid)).epsilon(1e-4));
    }
  }
}

TEST_CASE("codes are those of GPTQ by its paper, in every order and granularity") {
  const std::vector<Problem> layer = {RandomProblem(4, 3, 70), RandomProblem(5, 3, 70)};
  for (const GridSpec& spec : ManySpecs()) {
    if (spec.grid.bits > 4) continue;
    INFO(NameOf(spec));
    const Params params = SeqMseScales(layer, spec);
    for (const Order order : {Order::kNatural, Order::kActivation, Order::kReversed}) {
      const Solution s = Ldlq(layer, spec, params, {order});
      CheckSolution(layer, spec, s);
      for (int64_t row = 0; row < 6; ++row) {
        const Problem& p = layer[row / 3];
        Params own;  // as if the row were alone
        for (int64_t b = 0; b < spec.Blocks(70); ++b)
          own.push_back(params[spec.ParamIndex(row, b * spec.ColumnsPerBlock(70), 70)]);
        Problem alone = p;
        alone.target.assign(p.target.begin() + row % 3 * 70, p.target.begin() + (row % 3 + 1) * 70);
        GridSpec of_row = spec;
        if (spec.granularity == quant::Granularity::kTensor)
          of_row.granularity = quant::Granularity::kChannel;
        const std::vector<int32_t> expected = PlainGptq(alone, 0, OrderOf(p, order), of_row, own);
        // A rounding on the edge may fall the other way in float, and with it what follows.
        const std::vector<int32_t> codes(s.codes.begin() + row * 70,
                                         s.codes.begin() + (row + 1) * 70);
        if (codes == expected) continue;
        const auto first = std::mismatch(codes.begin(), codes.end(), expected.begin());
        CHECK(std::abs(*first.first - *first.second) <= 1);
        std::vector<double> w_hat;
        for (int64_t j = 0; j < 70; ++j)
          w_hat.push_back(quant::Dequantize(expected[j], own[of_row.ParamIndex(0, j, 70)]));
        CHECK(s.errors[row] == Approx(PlainError(alone, 0, w_hat)).epsilon(0.2));
      }
    }
  }
}

TEST_CASE("scales chosen for LDLQ are better than scales chosen for nearest") {
  const std::vector<Problem> layer = {RandomProblem(6, 40, 72)};
  for (const GridSpec& spec : ManySpecs()) {
    INFO(NameOf(spec));
    const Solution aware = LdlqWithScales(layer, spec);
    CheckSolution(layer, spec, aware);
    const Params params = SeqMseScales(layer, spec);
    const double fixed = Ldlq(layer, spec, params).error();
    CHECK(aware.error() < fixed * (spec.grid.bits == 8 ? 1.02 : 1.0));
    CHECK(fixed < RoundNearest(layer, spec, params).error());
  }
}

TEST_CASE("rows are solved alone: their number and that of threads change nothing") {
  const Problem many = RandomProblem(7, 150, 60);
  Problem few = many;
  few.m = 67;
  few.target.resize(67 * 60);
  few.w.resize(67 * 60);
  for (const GridSpec& spec : ManySpecs()) {
    if (spec.granularity == quant::Granularity::kTensor || spec.grid.bits != 4) continue;
    const int threads = Threads();
    SetThreads(1);
    const Solution all = LdlqWithScales({&many, 1}, spec);
    SetThreads(3);
    const Solution again = LdlqWithScales({&many, 1}, spec);
    const Solution some = LdlqWithScales({&few, 1}, spec);
    SetThreads(threads);
    CHECK(all.codes == again.codes);
    CHECK(all.params == again.params);
    CHECK(all.errors == again.errors);
    CHECK(std::equal(some.codes.begin(), some.codes.end(), all.codes.begin()));
  }
}

TEST_CASE("dead columns and singular statistics keep their nearest codes and finite errors") {
  Problem p = RandomProblem(8, 3, 20);
  for (int64_t j = 0; j < 20; ++j) p.H[4 * 20 + j] = p.H[j * 20 + 4] = 0;
  const GridSpec spec = Symmetric(4);
  const Params params = MinMaxScales({&p, 1}, spec);
  const Solution s = Ldlq({&p, 1}, spec, params);
  CheckSolution({&p, 1}, spec, s);
  for (int64_t row = 0; row < 3; ++row)
    CHECK(s.codes[row * 20 + 4] == quant::Quantize(p.target[row * 20 + 4], params[row], -8, 7));
  std::fill(p.H.begin(), p.H.end(), 1.0f);  // rank one
  CheckSolution({&p, 1}, spec, LdlqWithScales({&p, 1}, spec));
  CHECK(LdlqWithScales({&p, 1}, spec).error() < RoundNearest({&p, 1}, spec, params).error());
  std::fill(p.H.begin(), p.H.end(), 0.0f);
  CHECK(LdlqWithScales({&p, 1}, spec).error() == 0);
}

}  // namespace roundel::solver
