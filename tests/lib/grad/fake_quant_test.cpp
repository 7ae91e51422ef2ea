// FakeQuant against the one rounding rule (lib/quant/grid.h), and its gradients against differences of
// the frozen-residual surrogate: with c = round(x / s) - x / s and the side of each element held
// fixed, x^ = x + s * c inside of the grid and s * (q - z) outside is linear in each of x, s and z,
// and its derivatives are those of the straight-through estimator.

#include <cmath>
#include <string>
#include <vector>

#include "lib/base/text.h"
#include "lib/quant/grid.h"
#include "tests/lib/engine/run_op.h"
#include "tests/lib/grad/grad_test_support.h"

namespace roundel::engine {
namespace {

struct QuantCase {
  Shape x, scale;
  int64_t axis = -1, block = 0;  // axis -1: one scale
  int64_t qmin = 0, qmax = 15;
};

std::string Text(const QuantCase& c) {
  return StrCat("x ", ShapeString(c.x), " scale ", ShapeString(c.scale), " axis ", c.axis,
                " block ", c.block, " codes ", c.qmin, " to ", c.qmax);
}

QuantCase RandomCase(grad::Draw& draw) {
  QuantCase c;
  const int64_t rank = draw.Int(1, 4);
  for (int64_t i = 0; i < rank; ++i)
    c.x.push_back(draw.Int(0, 15) == 0 ? 0 : draw.Int(1, i == rank - 1 ? 37 : 7));
  c.qmin = draw.Chance(0.5) ? 0 : -8;
  c.qmax = c.qmin + (draw.Chance(0.5) ? 3 : 15);
  if (draw.Chance(0.3)) {
    if (draw.Chance(0.5)) c.scale = {1};
    return c;
  }
  c.axis = draw.Int(0, rank - 1);
  if (draw.Chance(0.5)) {
    c.scale = {c.x[c.axis]};
    return c;
  }
  c.block = draw.Int(1, 4);
  c.scale = c.x;
  c.scale[c.axis] = (c.x[c.axis] + c.block - 1) / c.block;
  return c;
}

// The scale of element i, from its index along each axis.
int64_t ScaleOf(const QuantCase& c, int64_t i) {
  if (c.axis < 0) return 0;
  std::vector<int64_t> index(c.x.size());
  for (size_t k = c.x.size(); k-- > 0; i /= c.x[k]) index[k] = i % c.x[k];
  if (c.block == 0) return index[c.axis];
  index[c.axis] /= c.block;
  int64_t flat = 0;
  for (size_t k = 0; k < c.x.size(); ++k) flat = flat * c.scale[k] + index[k];
  return flat;
}

std::vector<Tensor> Run(const std::string& op, const QuantCase& c, std::vector<Tensor> inputs) {
  OpCall call{.op_type = op, .opset = 1, .inputs = std::move(inputs), .domain = "roundel"};
  call.attributes = {{"qmin", c.qmin}, {"qmax", c.qmax}};
  if (c.axis >= 0) call.attributes.emplace_back("axis", c.axis);
  if (c.block > 0) call.attributes.emplace_back("block_size", c.block);
  call.outputs = op == "FakeQuant" ? 1 : 3;
  auto results = RunOp(call);
  INFO((results.ok() ? "" : results.status().message()));
  REQUIRE(results.ok());
  return *results;
}

// The loss <dy, x^> of the surrogate that is frozen at (x0, s0, z0).
double Surrogate(const QuantCase& c, double dy, double x0, double s0, double z0, double x, double s,
                 double z) {
  const double low = static_cast<double>(c.qmin), high = static_cast<double>(c.qmax);
  const double code = std::nearbyint(x0 / s0) + z0, residual = std::nearbyint(x0 / s0) - x0 / s0;
  if (code < low) return dy * s * (low - z);
  if (code > high) return dy * s * (high - z);
  return dy * s * (x / s + residual);
}

}  // namespace

TEST_CASE("FakeQuant rounds by the one rule, and its gradients are those of the frozen residual") {
  grad::Draw draw(3);
  int outside = 0;
  for (int n = 0; n < 300; ++n) {
    const QuantCase c = RandomCase(draw);
    INFO(Text(c));
    const Tensor x = draw.Values(c.x, -2, 2), scale = draw.Values(c.scale, 0.05, 0.4);
    // Between integers, so that the rounding of the zero point shows.
    const Tensor point =
        draw.Values(c.scale, static_cast<double>(c.qmin), static_cast<double>(c.qmax));
    const Tensor dy = draw.Values(c.x);
    const Tensor y = Run("FakeQuant", c, {x, scale, point})[0];
    const std::vector<Tensor> gradients = Run("FakeQuantGrad", c, {dy, x, scale, point});
    std::vector<double> ds(static_cast<size_t>(scale.size())), dz(ds.size());
    bool same = true, dx_fits = true;
    for (int64_t i = 0; i < x.size(); ++i) {
      const int64_t k = ScaleOf(c, i);
      const float s = scale.data<float>()[k];
      const auto z = static_cast<int32_t>(std::nearbyint(point.data<float>()[k]));
      const quant::QParams params{s, z};
      const auto code = quant::Quantize(x.data<float>()[i], params, static_cast<int32_t>(c.qmin),
                                        static_cast<int32_t>(c.qmax));
      same = same && y.data<float>()[i] == quant::Dequantize(code, params);
      const double d = dy.data<float>()[i], a = x.data<float>()[i], step = 1e-3;
      const auto loss = [&](double xi, double si, double zi) {
        return Surrogate(c, d, a, s, z, xi, si, zi);
      };
      const double dx = (loss(a + step, s, z) - loss(a - step, s, z)) / (2 * step);
      dx_fits = dx_fits && std::fabs(dx - gradients[0].data<float>()[i]) < 1e-5;
      outside += dx == 0;
      ds[k] += (loss(a, s + step, z) - loss(a, s - step, z)) / (2 * step);
      dz[k] += (loss(a, s, z + step) - loss(a, s, z - step)) / (2 * step);
    }
    CHECK(same);
    CHECK(dx_fits);
    for (size_t k = 0; k < ds.size(); ++k) {
      CHECK(gradients[1].data<float>()[k] == Approx(ds[k]).margin(1e-4));
      CHECK(gradients[2].data<float>()[k] == Approx(dz[k]).margin(1e-4));
    }
  }
  CHECK(outside > 1000);
}

TEST_CASE("values on the edge of the grid are inside, and signed scales are allowed") {
  const QuantCase c{.x = {4}, .qmin = -8, .qmax = 7};
  const Tensor x = Tensor::FromVector<float>({4}, {-8, 7, -8.6f, 7.6f});
  const Tensor one = Tensor::Scalar(1.0f), zero = Tensor::Scalar(0.0f);
  const Tensor dy = Tensor::FromVector<float>({4}, {1, 1, 1, 1});
  const std::vector<Tensor> gradients = Run("FakeQuantGrad", c, {dy, x, one, zero});
  CHECK(gradients[0] == Tensor::FromVector<float>({4}, {1, 1, 0, 0}));
  CHECK(gradients[1] == Tensor::Scalar(-1.0f));  // -8 + 7 from outside
  CHECK(gradients[2] == Tensor::Scalar(-2.0f));
  const Tensor minus = Tensor::Scalar(-0.5f);
  CHECK(Run("FakeQuant", c, {x, minus, zero})[0] ==
        Tensor::FromVector<float>({4}, {-3.5f, 4, -3.5f, 4}));
}

TEST_CASE("scales that do not fit are an error") {
  const auto result =
      RunOp({.op_type = "FakeQuant",
             .opset = 1,
             .inputs = {Tensor::Zeros(DType::kFloat, {2, 3}), Tensor::Zeros(DType::kFloat, {2}),
                        Tensor::Zeros(DType::kFloat, {2})},
             .attributes = {{"axis", int64_t{1}}},
             .domain = "roundel"});
  REQUIRE_FALSE(result.ok());
  CHECK_THAT(result.status().message(), Catch::Contains("scale of shape [2] does not fit"));
}

}  // namespace roundel::engine
