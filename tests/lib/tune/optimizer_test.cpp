// Oracle: the formulas of the papers in double, element by element.

#include "lib/tune/optimizer.h"

#include <algorithm>
#include <cmath>

#include "lib/base/random.h"
#include "tests/support/catch.h"

namespace roundel::tune {
namespace {

std::vector<float> Draw(size_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(random.Normal());
  return values;
}

TEST_CASE("Adam takes the steps of algorithm 1 of Kingma and Ba") {
  const size_t n = 40000;  // more than one chunk
  const std::vector<float> start = Draw(n, 1);
  const auto size = static_cast<int64_t>(n);
  Optimizer optimizer(
      {{.name = "p", .start = Tensor::FromVector<float>({size}, start), .rate = 0.01}});
  std::vector<double> p(start.begin(), start.end()), m(n), v(n);
  for (int t = 1; t <= 20; ++t) {
    const std::vector<float> g = Draw(n, static_cast<uint64_t>(100 + t));
    const double schedule = 1.0 / t;
    optimizer.Step({Tensor::FromVector<float>({size}, g)}, schedule);
    for (size_t i = 0; i < n; ++i) {
      const double gradient = g[i];
      m[i] = 0.9 * m[i] + 0.1 * gradient;
      v[i] = 0.999 * v[i] + 0.001 * gradient * gradient;
      const double mean = m[i] / (1 - std::pow(0.9, t)), square = v[i] / (1 - std::pow(0.999, t));
      p[i] -= 0.01 * schedule * mean / (std::sqrt(square) + 1e-8);
    }
  }
  double worst = 0;
  for (size_t i = 0; i < n; ++i)
    worst = std::max(worst, std::fabs(optimizer.values()[0].data<float>()[i] - p[i]));
  CHECK(worst < 2e-6);
}

TEST_CASE("momentum sums gradients that decay by a tenth in each step") {
  const size_t n = 50;
  const std::vector<float> start = Draw(n, 2);
  Optimizer optimizer({{.name = "p",
                        .start = Tensor::FromVector<float>({50}, start),
                        .rule = Rule::kMomentum,
                        .rate = 0.05}});
  std::vector<double> p(start.begin(), start.end()), m(n);
  for (int t = 1; t <= 20; ++t) {
    const std::vector<float> g = Draw(n, static_cast<uint64_t>(200 + t));
    optimizer.Step({Tensor::FromVector<float>({50}, g)}, 0.5);
    for (size_t i = 0; i < n; ++i) {
      m[i] = 0.9 * m[i] + static_cast<double>(g[i]);
      p[i] -= 0.05 * 0.5 * m[i];
    }
  }
  for (size_t i = 0; i < n; ++i)
    CHECK(std::fabs(optimizer.values()[0].data<float>()[i] - p[i]) < 2e-6);
}

TEST_CASE("sign descent moves by its rate, not where the gradient is zero, and not beyond bounds") {
  Optimizer optimizer({{.name = "p",
                        .start = Tensor::FromVector<float>({4}, {0, 0, 0, 0.45f}),
                        .rule = Rule::kSign,
                        .rate = 0.1,
                        .low = -0.5f,
                        .high = 0.5f}});
  optimizer.Step({Tensor::FromVector<float>({4}, {3, -1e-6f, 0, -1})}, 1);
  const float* p = optimizer.values()[0].data<float>();
  CHECK(p[0] == -0.1f);
  CHECK(p[1] == 0.1f);
  CHECK(p[2] == 0.0f);
  CHECK(p[3] == 0.5f);
}

}  // namespace
}  // namespace roundel::tune
