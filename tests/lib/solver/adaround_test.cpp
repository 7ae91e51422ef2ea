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

TEST_CASE("weights on the grid stay there; without iterations rounding is to nearest") {
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

TEST_CASE("with independent inputs nearest is the best rounding, and it is found") {
  Random random(6);
  const Problem p = PlainProblem(Weights(random, 120), 4, 30).value();
  const GridSpec spec = Symmetric(4);
  const Params params = MinMaxScales({&p, 1}, spec);
  const Solution s = AdaRound({&p, 1}, spec, params, {.iterations = 500});
  CHECK(s.error() <= RoundNearest({&p, 1}, spec, params).error() * 1.01);
}

TEST_CASE("the learnt rounding does not depend on the number of threads, and nothing is safe") {
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
