#include "lib/solver/scales.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/solver/nearest.h"
#include "tests/lib/solver/layers.h"

namespace roundel::solver {
namespace {

using quant::QParams;

struct Ranges {
  float min = 0, max = 0;
};

Ranges RangeOf(const float* w, int64_t n) {
  Ranges range;
  for (int64_t j = 0; j < n; ++j) {
    range.min = std::min(range.min, w[j]);
    range.max = std::max(range.max, w[j]);
  }
  return range;
}

QParams Shrunk(const Ranges& range, int k, int count, const quant::Grid& grid) {
  const double ratio = static_cast<double>(k) / count;
  return quant::ParamsFromRange(ratio * range.min, ratio * range.max, grid);
}

const quant::Grid kGrids[] = {
    {.bits = 4, .is_signed = true, .symmetric = true},
    {.bits = 3, .is_signed = true, .symmetric = true, .narrow_range = true},
    {.bits = 4},
    {.bits = 8, .is_signed = true}};

}  // namespace

TEST_CASE("nearest is the rounding rule of the project, element by element") {
  const std::vector<Problem> layer = {RandomProblem(1, 3, 17), RandomProblem(2, 3, 17)};
  for (const GridSpec& spec : ManySpecs()) {
    INFO(NameOf(spec));
    const Params params = MinMaxScales(layer, spec);
    const Solution s = RoundNearest(layer, spec, params);
    CheckSolution(layer, spec, s);
    for (int64_t row = 0; row < 6; ++row)
      for (int64_t j = 0; j < 17; ++j)
        REQUIRE(s.codes[row * 17 + j] == quant::Quantize(layer[row / 3].target[row % 3 * 17 + j],
                                                         params[spec.ParamIndex(row, j, 17)],
                                                         spec.grid.qmin(), spec.grid.qmax()));
  }
}

TEST_CASE("the range of the weights, by row, block and layer") {
  const std::vector<Problem> layer = {RandomProblem(3, 2, 7), RandomProblem(4, 2, 7)};
  for (const quant::Grid& grid : kGrids) {
    GridSpec spec{.grid = grid};
    Params params = MinMaxScales(layer, spec);
    for (int64_t row = 0; row < 4; ++row)
      CHECK(params[row] == Shrunk(RangeOf(layer[row / 2].w.data() + row % 2 * 7, 7), 1, 1, grid));
    spec.granularity = quant::Granularity::kBlock;
    spec.block_size = 4;
    params = MinMaxScales(layer, spec);
    REQUIRE(params.size() == 8);
    CHECK(params[7] == Shrunk(RangeOf(layer[1].w.data() + 7 + 4, 3), 1, 1, grid));
    spec.granularity = quant::Granularity::kTensor;
    params = MinMaxScales(layer, spec);
    Ranges all = RangeOf(layer[0].w.data(), 14);
    const Ranges other = RangeOf(layer[1].w.data(), 14);
    all = {std::min(all.min, other.min), std::max(all.max, other.max)};
    CHECK(params == Params{Shrunk(all, 1, 1, grid)});
  }
}

TEST_CASE("scales with a sign give the extreme weight the lowest code") {
  Problem p = PlainProblem(std::vector<float>{0.8f, -0.3f, 0.1f, -0.8f, 0.3f, 0}, 2, 3).value();
  GridSpec spec = Symmetric(4);
  spec.signed_scale = true;
  const Solution s = RoundNearest({&p, 1}, spec, MinMaxScales({&p, 1}, spec));
  CHECK(s.params[0].scale == Approx(-0.1));
  CHECK(s.params[1].scale == Approx(0.1));
  CHECK(s.codes[0] == -8);
  CHECK(s.codes[3] == -8);
}

TEST_CASE("SeqMSE scales are the best of their candidates") {
  const std::vector<Problem> layer = {RandomProblem(5, 3, 23), RandomProblem(6, 3, 23)};
  for (const quant::Grid& grid : kGrids) {
    const GridSpec spec{.grid = grid};
    const Params by_output = SeqMseScales(layer, spec);
    for (int64_t row = 0; row < 6; ++row) {
      const Problem& p = layer[row / 3];
      const Ranges range = RangeOf(p.w.data() + row % 3 * 23, 23);
      for (int k = 1; k <= 20; ++k)
        CHECK(NearestError(p, row % 3, by_output[row], grid) <=
              NearestError(p, row % 3, Shrunk(range, k, 20, grid), grid) * (1 + 1e-4));
    }
  }
}

TEST_CASE("one SeqMSE scale for a layer is the best for the sum of all rows") {
  const std::vector<Problem> layer = {RandomProblem(7, 3, 11), RandomProblem(8, 3, 11)};
  GridSpec spec = Symmetric(4);
  spec.granularity = quant::Granularity::kTensor;
  const auto total = [&](QParams params) {
    double sum = 0;
    for (int64_t row = 0; row < 6; ++row)
      sum += NearestError(layer[row / 3], row % 3, params, spec.grid);
    return sum;
  };
  const Params params = SeqMseScales(layer, spec);
  REQUIRE(params.size() == 1);
  Ranges all = RangeOf(layer[0].w.data(), 33);
  const Ranges other = RangeOf(layer[1].w.data(), 33);
  all = {std::min(all.min, other.min), std::max(all.max, other.max)};
  for (int k = 1; k <= 20; ++k)
    CHECK(total(params[0]) <= total(Shrunk(all, k, 20, spec.grid)) * (1 + 1e-4));
}

TEST_CASE("SeqMSE of blocks looks at each block alone") {
  const Problem whole = RandomProblem(9, 2, 10);
  GridSpec spec = Symmetric(4);
  spec.granularity = quant::Granularity::kBlock;
  spec.block_size = 6;
  const Params params = SeqMseScales({&whole, 1}, spec);
  REQUIRE(params.size() == 4);
  for (int64_t row = 0; row < 2; ++row)
    for (int64_t b = 0; b < 2; ++b) {
      const int64_t begin = b * 6, width = b == 0 ? 6 : 4;
      Problem part{.m = 1, .n = width};
      for (int64_t i = 0; i < width; ++i) {
        part.w.push_back(whole.w[row * 10 + begin + i]);
        for (int64_t j = 0; j < width; ++j) part.H.push_back(whole.H[(begin + i) * 10 + begin + j]);
      }
      part.target = part.w;
      const Ranges range = RangeOf(part.w.data(), width);
      for (int k = 1; k <= 20; ++k)
        CHECK(NearestError(part, 0, params[row * 2 + b], spec.grid) <=
              NearestError(part, 0, Shrunk(range, k, 20, spec.grid), spec.grid) * (1 + 1e-4));
    }
}

TEST_CASE("the sweep over breakpoints finds what a dense scan of scales finds") {
  for (const int bits : {2, 3, 4})
    for (const bool signed_scale : {false, true}) {
      const Problem p = RandomProblem(10 + bits, 3, 12);
      GridSpec spec = Symmetric(bits);
      spec.signed_scale = signed_scale;
      const Solution s = ExactScales({&p, 1}, spec, 0.05);
      CheckSolution({&p, 1}, spec, s);
      for (int64_t row = 0; row < 3; ++row) {
        float largest = 0;
        for (int64_t j = 0; j < 12; ++j)
          largest = std::max(largest, std::fabs(p.target[row * 12 + j]));
        double best = std::numeric_limits<double>::infinity();
        for (int i = 1; i <= 20000; ++i) {
          const auto scale = static_cast<float>(2.2 * largest * i / 20000);
          if (scale < 0.05 * largest / spec.grid.qmax()) continue;
          for (const float sign : {1.0f, -1.0f}) {
            if (sign < 0 && !signed_scale) break;
            // The codes of this scale, at the scale that suits them best.
            double slope = 0, curvature = 0;
            std::vector<double> x, hw(12), hx(12);
            for (int64_t j = 0; j < 12; ++j)
              x.push_back(quant::Quantize(p.target[row * 12 + j], {sign * scale, 0},
                                          spec.grid.qmin(), spec.grid.qmax()));
            for (int64_t a = 0; a < 12; ++a)
              for (int64_t b = 0; b < 12; ++b) {
                slope += x[a] * p.H[a * 12 + b] * p.target[row * 12 + b];
                curvature += x[a] * p.H[a * 12 + b] * x[b];
              }
            if (!(curvature > 0)) continue;
            std::vector<double> w_hat;
            for (const double v : x) w_hat.push_back(v * slope / curvature);
            if (sign * slope > 0) best = std::min(best, PlainError(p, row, w_hat));
          }
        }
        CHECK(s.errors[row] <= best * (1 + 1e-5));
        CHECK(s.errors[row] >= best * 0.95);  // the scan steps over few intervals
      }
    }
}

TEST_CASE("scale searches of zeros, single columns and nothing") {
  const std::vector<std::vector<Problem>> layers = {
      {PlainProblem(std::vector<float>(6), 2, 3).value()},
      {PlainProblem(std::vector<float>{0.7f, 0}, 2, 1).value()},
      {PlainProblem({}, 0, 3).value()},
      {PlainProblem({}, 3, 0).value()},
      {}};
  for (const auto& layer : layers)
    for (const GridSpec& spec : ManySpecs()) {
      INFO(NameOf(spec));
      for (const Params& params : {MinMaxScales(layer, spec), SeqMseScales(layer, spec)}) {
        const Solution s = RoundNearest(layer, spec, params);
        CheckSolution(layer, spec, s);
        if (!s.codes.empty()) CHECK(s.errors[1] == 0);  // the row of zeros
      }
      CheckSolution(layer, spec, ExactScales(layer, spec));
    }
}

TEST_CASE("what cannot be solved is said in one line") {
  const std::vector<Problem> layer = {RandomProblem(1, 2, 3), RandomProblem(2, 2, 4)};
  CHECK(CheckSpec({layer.data(), 1}, Symmetric(4)).ok());
  CHECK(CheckSpec(layer, Symmetric(4)).kind() == ErrorKind::kUsage);
  CHECK(CheckSpec({}, Symmetric(1)).kind() == ErrorKind::kUsage);
  CHECK(CheckSpec({}, {.granularity = quant::Granularity::kBlock}).kind() == ErrorKind::kUsage);
  CHECK(CheckSpec({}, {.signed_scale = true}).kind() == ErrorKind::kUsage);
}

}  // namespace roundel::solver
