#include <algorithm>
#include <cmath>

#include "lib/solver/adaround.h"

#include "lib/solver/nearest.h"
#include "lib/solver/scales.h"
#include "tests/lib/solver/layers.h"

namespace roundel::solver {

TEST_CASE("every code is the floor or one more, and the layer is better than with nearest") {
  const std::vector<Problem> layer = {RandomProblem(1, 8, 40), RandomProblem(2, 8, 40)};
  for (const GridSpec& spec : ManySpecs()) {
    INFO(NameOf(spec));
    const Params params = SeqMseScales(layer, spec);
    const Solution s = AdaRound(layer, spec, params, {.iterations = 600});
    CheckSolution(layer, spec, s);
    CHECK(s.params == params);
    for (int64_t row = 0; row < 16; ++row)
      for (int64_t j = 0; j < 40; ++j) {
        const quant::QParams p = params[spec.ParamIndex(row, j, 40)];
        const auto floor =
            static_cast<int32_t>(std::floor(layer[row / 8].target[row % 8 * 40 + j] / p.scale));
        const auto clamp = [&](int32_t level) {
          return std::clamp(level + p.zero_point, spec.grid.qmin(), spec.grid.qmax());
        };
        const int32_t q = s.codes[row * 40 + j];
        REQUIRE((q == clamp(floor) || q == clamp(floor + 1)));
      }
    CHECK(s.error() < RoundNearest(layer, spec, params).error());
  }
}

TEST_CASE("weights on the grid stay there, without iterations rounding is to nearest") {
  const GridSpec spec = Symmetric(4);
  Random random(3);
  std::vector<float> w;
  for (int i = 0; i < 60; ++i) w.push_back(0.25f * (static_cast<float>(random.Below(15)) - 7));
  w[0] = w[20] = w[40] = 7 * 0.25f;
  Problem p = RandomProblem(4, 3, 20);
  p.w = p.target = w;
  const Params params(3, quant::QParams{0.25f, 0});
  CHECK(AdaRound({&p, 1}, spec, params, {.iterations = 300}).error() == 0);
  const Problem other = RandomProblem(5, 3, 20);
  const Params scales = MinMaxScales({&other, 1}, spec);
  CHECK(AdaRound({&other, 1}, spec, scales, {.iterations = 0}).codes ==
        RoundNearest({&other, 1}, spec, scales).codes);
}

// The published loop, in double: every weight takes part in every iteration.
std::vector<int32_t> LearnPlainly(const Problem& p, const GridSpec& spec, const Params& params,
                                  const AdaRoundOptions& options) {
  const int64_t size = p.m * p.n;
  std::vector<double> v(size), first(size), second(size), error(size), h(size), h_slope(size);
  const std::vector<double> power = RowErrors(p, std::vector<float>(size));
  const auto level = [&](int64_t i, double up) {
    const quant::QParams& q = params[spec.ParamIndex(i / p.n, i % p.n, p.n)];
    return std::clamp(std::floor(double{p.target[i]} / q.scale) + up,
                      double(spec.grid.qmin() - q.zero_point),
                      double(spec.grid.qmax() - q.zero_point));
  };
  const auto scale = [&](int64_t i) {
    return double{params[spec.ParamIndex(i / p.n, i % p.n, p.n)].scale};
  };
  for (int64_t i = 0; i < size; ++i) {
    const double x = p.target[i] / scale(i), share = std::clamp(x - std::floor(x), 1e-3, 1 - 1e-3);
    v[i] = -std::log(1.2 / (share + 0.1) - 1);
  }
  for (int t = 0; t < options.iterations; ++t) {
    const double share = double(t) / options.iterations, warm = options.warm_start;
    const double beta = 2 + 9 * (1 + std::cos(M_PI * std::max(0.0, (share - warm) / (1 - warm))));
    for (int64_t i = 0; i < size; ++i) {
      const double sigmoid = 1 / (1 + std::exp(-v[i])), open = 1.2 * sigmoid - 0.1;
      h[i] = std::clamp(open, 0.0, 1.0);
      h_slope[i] = open > 0 && open < 1 ? 1.2 * sigmoid * (1 - sigmoid) : 0;
      error[i] = p.target[i] - scale(i) * level(i, h[i]);
    }
    for (int64_t i = 0; i < size; ++i) {
      double along = 0;
      for (int64_t j = 0; j < p.n; ++j)
        along += double{p.H[i % p.n * p.n + j]} * error[i / p.n * p.n + j];
      const bool moves = level(i, 0) != level(i, 1);
      double slope = moves ? -2 * along * scale(i) / power[i / p.n] : 0;
      const double centered = 2 * h[i] - 1;
      if (share >= warm)
        slope -= options.lambda * 2 * beta *
                 std::copysign(std::pow(std::fabs(centered), beta - 1), centered);
      slope *= h_slope[i];
      first[i] = 0.9 * first[i] + 0.1 * slope;
      second[i] = 0.999 * second[i] + 0.001 * slope * slope;
      v[i] -= options.learning_rate * first[i] / (1 - std::pow(0.9, t + 1)) /
              (std::sqrt(second[i] / (1 - std::pow(0.999, t + 1))) + 1e-8);
    }
  }
  std::vector<int32_t> codes;
  for (int64_t i = 0; i < size; ++i)
    codes.push_back(static_cast<int32_t>(level(i, v[i] >= 0 ? 1 : 0)) +
                    params[spec.ParamIndex(i / p.n, i % p.n, p.n)].zero_point);
  return codes;
}

TEST_CASE("what is learned is what the published loop learns") {
  // The second shape begins with a matrix product for many rows; then rows go on alone.
  for (const auto& [m, n] : {std::pair<int64_t, int64_t>{5, 20}, {52, 150}}) {
    const Problem p = RandomProblem(8, m, n);
    GridSpec asymmetric = Symmetric(4);
    asymmetric.grid.symmetric = false;
    for (const GridSpec& spec : {Symmetric(3), asymmetric}) {
      const Params params = SeqMseScales({&p, 1}, spec);
      const AdaRoundOptions options{.iterations = 400};
      const std::vector<int32_t> plain = LearnPlainly(p, spec, params, options);
      Solution expected = AdaRound({&p, 1}, spec, params, options);
      int64_t same = 0;
      for (size_t i = 0; i < plain.size(); ++i) same += plain[i] == expected.codes[i] ? 1 : 0;
      CHECK(same >= 0.99 * static_cast<double>(plain.size()));
      const double error = expected.error();
      expected.codes = plain;
      Score({&p, 1}, spec, &expected);
      CHECK(error == Approx(expected.error()).epsilon(0.02));
    }
  }
}

TEST_CASE("with independent inputs nearest is the best rounding, and it is found") {
  Random random(6);
  const Problem p = PlainProblem(Weights(random, 120), 4, 30).value();
  const GridSpec spec = Symmetric(4);
  const Params params = MinMaxScales({&p, 1}, spec);
  const Solution s = AdaRound({&p, 1}, spec, params, {.iterations = 500});
  CHECK(s.error() <= RoundNearest({&p, 1}, spec, params).error() * 1.01);
}

TEST_CASE("the learned rounding does not depend on the number of threads, and nothing is safe") {
  const Problem p = RandomProblem(7, 110, 130);
  const GridSpec spec = Symmetric(3);
  const Params params = SeqMseScales({&p, 1}, spec);
  const int threads = Threads();
  SetThreads(1);
  const Solution one = AdaRound({&p, 1}, spec, params, {.iterations = 50});
  SetThreads(3);
  const Solution three = AdaRound({&p, 1}, spec, params, {.iterations = 50});
  SetThreads(threads);
  CHECK(one.codes == three.codes);

  const Problem none = PlainProblem({}, 0, 3).value();
  CheckSolution({&none, 1}, spec, AdaRound({&none, 1}, spec, {}));
  Problem zero = PlainProblem(std::vector<float>(6), 2, 3).value();
  CHECK(AdaRound({&zero, 1}, spec, MinMaxScales({&zero, 1}, spec)).error() == 0);
  std::fill(zero.H.begin(), zero.H.end(), 0.0f);
  CHECK(AdaRound({&zero, 1}, spec, MinMaxScales({&zero, 1}, spec)).error() == 0);
}

}  // namespace roundel::solver
