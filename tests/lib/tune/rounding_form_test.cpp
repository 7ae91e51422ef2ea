// Oracles: the codes at which learning starts, and central differences of the forms' own graph where
// that is smooth.

#include <algorithm>
#include <cmath>

#include "lib/base/random.h"
#include "tests/lib/tune/weight_cases.h"

namespace roundel::tune {
namespace {

using quant::Granularity;

std::vector<FormPtr> FormsOf(const Case& c, RoundingSettings settings) {
  std::vector<FormPtr> forms;
  if (c.weight.rank() > 1) settings.out_axis = 0, settings.in_axis = 1;
  forms.push_back(MakeRoundingForm("w", c.weight, c.encoding, settings));
  return forms;
}

TEST_CASE("learning starts at the given codes, for every kind and granularity") {
  int ran = 0;
  for (const Case& c : AllCases())
    for (const Rounding kind : {Rounding::kSoft, Rounding::kStraight, Rounding::kFlex}) {
      const auto forms = FormsOf(c, {.kind = kind});
      const FormsModel model = FormsModel::Create(forms).value();
      const Tensor start = quant::DequantizeTensor(*c.encoding.codes, c.encoding);
      CHECK(Largest(model.Finals(Starts(model))[0], start) == 0);
      const Tensor value = model.Values(Starts(model)).value()[0];
      if (kind != Rounding::kSoft) {
        CHECK(Largest(value, start) < 1e-5);
        ++ran;
        continue;
      }
      // A soft value lies in the cell of its code.
      for (int64_t i = 0; i < value.size(); ++i) {
        const float scale =
            c.encoding.params[static_cast<size_t>(c.encoding.ParamIndex(value.shape(), i))].scale;
        CHECK(std::fabs(value.data<float>()[i] - start.data<float>()[i]) <= 0.5001f * scale);
      }
      ++ran;
    }
  CHECK(ran == 120);
}

// <dW, W> at learned + step, in double.
double Inner(const FormsModel& model, std::vector<Tensor> learned, size_t which, int64_t at,
             double step, const Tensor& direction) {
  learned[which].mutable_data<float>()[at] += static_cast<float>(step);
  const Tensor value = model.Values(learned).value()[0];
  double sum = 0;
  for (int64_t i = 0; i < value.size(); ++i)
    sum += static_cast<double>(value.data<float>()[i]) * direction.data<float>()[i];
  return sum;
}

TEST_CASE("gradients of soft rounding and its scales agree with central differences") {
  Random random(7);
  int ran = 0;
  for (const Case& c : AllCases()) {
    const auto forms = FormsOf(c, {.kind = Rounding::kSoft});
    const FormsModel model = FormsModel::Create(forms).value();
    Tensor direction = Tensor::Zeros(DType::kFloat, c.weight.shape());
    for (int64_t i = 0; i < direction.size(); ++i)
      direction.mutable_data<float>()[i] = static_cast<float>(random.Normal());
    const std::vector<Tensor> at = Starts(model);
    const auto step = model.Gradients(at, {direction}, 4, 0).value();
    for (size_t which = 0; which < at.size(); ++which)
      for (int64_t i = 0; i < std::min<int64_t>(at[which].size(), 6); ++i) {
        // At the ends of h there is a kink.
        const double v = at[which].data<float>()[i];
        const double place = 1.2 / (1 + std::exp(-v)) - 0.1;
        if (which == 0 && (place < 0.01 || place > 0.99)) continue;
        const double h = 1e-2;
        const double slope =
            (Inner(model, at, which, i, h, direction) - Inner(model, at, which, i, -h, direction)) /
            (2 * h);
        const double found = step.gradients[which].data<float>()[i];
        CHECK(std::fabs(found - slope) <= 2e-3 * std::max(1.0, std::fabs(slope)));
        ++ran;
      }
  }
  CHECK(ran > 200);
}

TEST_CASE("the penalty is the mean of 1 - |2h - 1|^sharpness, and moves h away from one half") {
  const Case c = MakeCase({4, 5}, Granularity::kChannel, 0, 0, 4, false, 3);
  const auto forms = FormsOf(c, {.kind = Rounding::kSoft, .scale_rate = 0});
  const FormsModel model = FormsModel::Create(forms).value();
  std::vector<Tensor> at = Starts(model);
  REQUIRE(at.size() == 1);
  double sum = 0;
  for (int64_t i = 0; i < at[0].size(); ++i) {
    const double v = at[0].data<float>()[i];
    const double h = std::clamp(1.2 / (1 + std::exp(-v)) - 0.1, 0.0, 1.0);
    sum += 1 - std::pow(std::fabs(2 * h - 1), 6);
  }
  const Tensor zero = Tensor::Zeros(DType::kFloat, {4, 5});
  const auto step = model.Gradients(at, {zero}, 6, 1).value();
  CHECK(std::fabs(step.penalty - sum / 20) < 1e-5);
  for (int64_t i = 0; i < at[0].size(); ++i) {
    const double v = at[0].data<float>()[i], g = step.gradients[0].data<float>()[i];
    CHECK(v * g <= 0);  // descent moves V away from 0
  }
}

TEST_CASE("scales of straight-through forms have the frozen-residual gradient") {
  Random random(11);
  for (const Case& c : AllCases()) {
    const auto forms = FormsOf(c, {.kind = Rounding::kStraight});
    const FormsModel model = FormsModel::Create(forms).value();
    Tensor direction = Tensor::Zeros(DType::kFloat, c.weight.shape());
    for (int64_t i = 0; i < direction.size(); ++i)
      direction.mutable_data<float>()[i] = static_cast<float>(random.Normal());
    const auto step = model.Gradients(Starts(model), {direction}, 2, 0).value();
    // W = s code: with codes held fixed, dW / d log s = W; and dW / dV = s where the code may move.
    const Tensor start = quant::DequantizeTensor(*c.encoding.codes, c.encoding);
    std::vector<double> of_scales(c.encoding.params.size());
    for (int64_t i = 0; i < start.size(); ++i)
      of_scales[static_cast<size_t>(c.encoding.ParamIndex(start.shape(), i))] +=
          static_cast<double>(direction.data<float>()[i]) * start.data<float>()[i];
    for (size_t s = 0; s < of_scales.size(); ++s)
      CHECK(std::fabs(step.gradients[1].data<float>()[s] - of_scales[s]) <
            1e-3 * std::max(1.0, std::fabs(of_scales[s])));
  }
}

}  // namespace
}  // namespace roundel::tune
