#include "lib/solver/gram.h"

#include <cmath>
#include <limits>

#include "tests/lib/solver/layers.h"

namespace roundel::solver {
namespace {

// A layer with quantized inputs: x^ is what it sees, y = W x what it should give.
struct Samples {
  int64_t n, m, rows;
  std::vector<float> x, y, w, w_hat;

  Samples(uint64_t seed, int64_t inputs, int64_t outputs, int64_t columns)
      : n(inputs), m(outputs), rows(columns) {
    Random random(seed);
    const std::vector<float> clean = Inputs(random, n).Draw(random, rows);
    w = Weights(random, m * n);
    w_hat = w;
    for (float& v : w_hat) v += static_cast<float>(0.01 * random.Normal());
    for (const float v : clean) x.push_back(std::nearbyint(v * 8) / 8 + 0.02f);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t o = 0; o < m; ++o) {
        double sum = 0;
        for (int64_t j = 0; j < n; ++j) sum += double{clean[r * n + j]} * double{w[o * n + j]};
        y.push_back(static_cast<float>(sum));
      }
  }
  Gram Sums(bool asymmetric) const {
    Gram gram(n, m, asymmetric);
    const int64_t cut = rows / 3;
    gram.Observe(std::span(x).first(cut * n), std::span(y).first(cut * m), cut);
    Gram rest(n, m, asymmetric);
    rest.Observe(std::span(x).subspan(cut * n), std::span(y).subspan(cut * m), rows - cut);
    gram.Add(rest);
    return gram;
  }
  // Mean over columns of (y - weights x^ - shift)^2, or of (w x^ - weights x^ - shift)^2.
  double DirectError(int64_t o, const std::vector<float>& weights, double shift,
                     bool asymmetric) const {
    double sum = 0;
    for (int64_t r = 0; r < rows; ++r) {
      double out = shift, target = asymmetric ? y[r * m + o] : 0;
      for (int64_t j = 0; j < n; ++j) {
        out += double{weights[o * n + j]} * double{x[r * n + j]};
        if (!asymmetric) target += double{w[o * n + j]} * double{x[r * n + j]};
      }
      sum += (target - out) * (target - out);
    }
    return sum / static_cast<double>(rows);
  }
};

}  // namespace

TEST_CASE("sums are those of a plain loop") {
  const Samples s(1, 37, 5, 3000);
  const Gram gram = s.Sums(true);
  CHECK(gram.count == 3000);
  for (int64_t i = 0; i < s.n; ++i)
    for (int64_t j = i; j < s.n; ++j) {
      double sum = 0;
      for (int64_t r = 0; r < s.rows; ++r)
        sum += double{s.x[r * s.n + i]} * double{s.x[r * s.n + j]};
      REQUIRE(gram.xx[i * s.n + j] == Approx(sum).epsilon(1e-5));
    }
  for (int64_t o = 0; o < s.m; ++o)
    for (int64_t j = 0; j < s.n; ++j) {
      double sum = 0;
      for (int64_t r = 0; r < s.rows; ++r)
        sum += double{s.y[r * s.m + o]} * double{s.x[r * s.n + j]};
      REQUIRE(gram.yx[o * s.n + j] == Approx(sum).epsilon(1e-4).margin(0.01));
    }
}

TEST_CASE("sums do not depend on the number of threads") {
  const Samples s(2, 130, 5, 2500);
  const int threads = Threads();
  SetThreads(1);
  const Gram one = s.Sums(true);
  SetThreads(3);
  const Gram three = s.Sums(true);
  SetThreads(threads);
  CHECK(one.xx == three.xx);
  CHECK(one.yx == three.yx);
}

TEST_CASE("the quadratic form is the mean squared error of the outputs") {
  const Samples s(3, 24, 4, 2000);
  for (const bool asymmetric : {false, true}) {
    const Gram gram = s.Sums(asymmetric);
    const Objective objective = MakeObjective(gram, s.w, false).value();
    const std::vector<double> errors = OutputErrors(objective, s.w_hat);
    const std::vector<double> of_float = OutputErrors(objective, s.w);
    for (int64_t o = 0; o < s.m; ++o) {
      CHECK(errors[o] == Approx(s.DirectError(o, s.w_hat, 0, asymmetric)).epsilon(1e-4));
      CHECK(of_float[o] == Approx(s.DirectError(o, s.w, 0, asymmetric)).epsilon(1e-3).margin(1e-9));
    }
  }
}

TEST_CASE("centered statistics are those of the best bias") {
  const Samples s(4, 24, 4, 2000);
  for (const bool asymmetric : {false, true}) {
    const Gram gram = s.Sums(asymmetric);
    const std::vector<double> errors =
        OutputErrors(MakeObjective(gram, s.w, true).value(), s.w_hat);
    const std::vector<double> shift = BestBiasShift(gram, s.w, s.w_hat);
    for (int64_t o = 0; o < s.m; ++o) {
      const double at_best = s.DirectError(o, s.w_hat, shift[o], asymmetric);
      CHECK(errors[o] == Approx(at_best).epsilon(1e-3));
      CHECK(at_best < s.DirectError(o, s.w_hat, shift[o] + 0.01, asymmetric));
      CHECK(at_best < s.DirectError(o, s.w_hat, shift[o] - 0.01, asymmetric));
    }
  }
}

TEST_CASE("the power of an output is that of the samples") {
  const Samples s(5, 10, 3, 500);
  const Objective objective = MakeObjective(s.Sums(true), s.w, false).value();
  for (int64_t o = 0; o < s.m; ++o) {
    double sum = 0;
    for (int64_t r = 0; r < s.rows; ++r) sum += std::pow(double{s.y[r * s.m + o]}, 2);
    CHECK(objective.power[o] == Approx(sum / 500).epsilon(1e-5));
  }
}

TEST_CASE("statistics that are no statistics are refused") {
  const std::vector<float> w(6, 1.0f);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Gram gram(3, 2, true);
  CHECK(CheckGram(gram).ok());
  gram.Observe(std::vector<float>{1, nan, 2}, std::vector<float>{1, 2}, 1);
  CHECK(CheckGram(gram).kind() == ErrorKind::kData);
  CHECK(MakeProblem(gram, w).status().kind() == ErrorKind::kData);
  Gram negative(3, 2, false);
  negative.count = 1;
  negative.xx[0] = -1;
  CHECK(CheckGram(negative).kind() == ErrorKind::kData);
  Gram torn(3, 2, true);
  torn.yx.pop_back();
  CHECK(CheckGram(torn).kind() == ErrorKind::kData);
  CHECK(MakeProblem(Gram(3, 2, false), std::vector<float>{1, 2, 3, 4, 5, nan}).status().kind() ==
        ErrorKind::kModel);
  CHECK(MakeProblem(Gram(3, 2, false), std::vector<float>(5)).status().kind() == ErrorKind::kModel);
}

TEST_CASE("without data the bias stays") {
  CHECK(BestBiasShift(Gram(2, 1, true), std::vector<float>{1, 2}, std::vector<float>{0, 0}) ==
        std::vector<double>{0});
}

}  // namespace roundel::solver
