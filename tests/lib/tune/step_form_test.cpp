// Oracle of gradients: the surrogate in which the residual of each rounding, and which elements are
// clipped, are held fixed. It is smooth, and its derivative is the straight-through gradient; here it
// is a plain loop in double with central differences.

#include "lib/tune/step_form.h"

#include "tests/lib/tune/weight_cases.h"

namespace roundel::tune {
namespace {

using quant::Granularity;

std::vector<FormPtr> FormsOf(const Case& c, const StepSettings& settings) {
  std::vector<FormPtr> forms;
  forms.push_back(MakeStepForm("w", c.weight, c.encoding, settings));
  return forms;
}

// Learned tensors away from the start: weights of any cell, also outside of the grid.
std::vector<Tensor> Moved(const FormsModel& model, uint64_t seed) {
  Random random(seed);
  std::vector<Tensor> moved;
  for (const Learned& one : model.learned()) {
    Tensor tensor = one.start;
    float* p = tensor.mutable_data<float>();
    for (int64_t i = 0; i < tensor.size(); ++i) {
      const double change = random.Normal();
      if (one.name == "w/scale")
        p[i] *= static_cast<float>(std::exp(0.3 * change));
      else
        p[i] += static_cast<float>((one.name == "w/log_scale" ? 0.3 : 1.3) * change);
      p[i] = std::clamp(p[i], one.low, one.high);
    }
    moved.push_back(std::move(tensor));
  }
  return moved;
}

TEST_CASE("weights with learned steps start at the given codes, and rounding is that of the grid") {
  int ran = 0;
  for (const Case& c : AllCases())
    for (const Rule rule : {Rule::kAdam, Rule::kMomentum}) {
      const auto forms = FormsOf(c, {.rule = rule});
      const FormsModel model = FormsModel::Create(forms).value();
      const Tensor start = quant::DequantizeTensor(*c.encoding.codes, c.encoding);
      CHECK(Largest(model.Finals(Starts(model))[0], start) == 0);
      CHECK(Largest(forms[0]->start(), start) == 0);
      for (uint64_t seed = 0; seed < 3; ++seed) {
        const std::vector<Tensor> at = seed == 0 ? Starts(model) : Moved(model, seed);
        // exp has two implementations: a scale may differ in its last bit.
        const Tensor value = model.Values(at).value()[0], final = model.Finals(at)[0];
        REQUIRE(value.shape() == final.shape());
        for (int64_t i = 0; i < value.size(); ++i)
          CHECK(std::fabs(value.data<float>()[i] - final.data<float>()[i]) <=
                1e-6 * std::fabs(final.data<float>()[i]));
        ++ran;
      }
    }
  CHECK(ran == 240);
}

// The surrogate of one form with everything in double. Learned tensors are vectors.
struct Surrogate {
  const Case& c;
  bool adam;
  std::vector<double> residual;  // round(w / s) - w / s
  std::vector<int> side;         // -1 below, 1 above, 0 inside
  std::vector<double> rounding;  // of zero points

  size_t Group(int64_t i) const {
    return static_cast<size_t>(c.encoding.ParamIndex(c.weight.shape(), i));
  }
  double Scale(const std::vector<double>& learned, size_t g) const {
    return adam ? c.encoding.params[g].scale * std::exp(learned[g]) : learned[g];
  }
  double Weight(const std::vector<double>& w, int64_t i) const {
    return w[static_cast<size_t>(i)] *
           (adam ? static_cast<double>(c.encoding.params[Group(i)].scale) : 1.0);
  }

  void Freeze(const std::vector<double>& w, const std::vector<double>& s,
              const std::vector<double>& z) {
    for (const double zero : z) rounding.push_back(std::nearbyint(zero) - zero);
    for (int64_t i = 0; i < c.weight.size(); ++i) {
      const size_t g = Group(i);
      const double place = Weight(w, i) / Scale(s, g), code = std::nearbyint(place);
      const double zero = std::nearbyint(z[g]);
      residual.push_back(code - place);
      side.push_back(code < c.encoding.grid.qmin() - zero   ? -1
                     : code > c.encoding.grid.qmax() - zero ? 1
                                                            : 0);
    }
  }

  double Value(const std::vector<double>& w, const std::vector<double>& s,
               const std::vector<double>& z, const std::vector<double>& direction) const {
    double sum = 0;
    for (int64_t i = 0; i < c.weight.size(); ++i) {
      const auto k = static_cast<size_t>(i);
      const size_t g = Group(i);
      const double scale = Scale(s, g);
      const double bound = side[k] < 0 ? c.encoding.grid.qmin() : c.encoding.grid.qmax();
      const double code =
          side[k] == 0 ? Weight(w, i) / scale + residual[k] : bound - (z[g] + rounding[g]);
      sum += direction[k] * scale * code;
    }
    return sum;
  }
};

std::vector<double> Doubles(const Tensor& tensor) {
  return {tensor.data<float>(), tensor.data<float>() + tensor.size()};
}

double Slope(const Surrogate& f, std::vector<std::vector<double>> at, size_t which, size_t i,
             const std::vector<double>& direction) {
  const double h = 1e-5, middle = at[which][i];
  at[which][i] = middle + h;
  const double above = f.Value(at[0], at[1], at[2], direction);
  at[which][i] = middle - h;
  return (above - f.Value(at[0], at[1], at[2], direction)) / (2 * h);
}

TEST_CASE("gradients of weights, scales and zero points are those of the frozen surrogate") {
  Random random(17);
  int weights = 0, scales = 0, zeros = 0, clipped = 0;
  for (const Case& c : AllCases())
    for (const Rule rule : {Rule::kAdam, Rule::kMomentum}) {
      const auto forms = FormsOf(c, {.rule = rule});
      const FormsModel model = FormsModel::Create(forms).value();
      const std::vector<Tensor> learned = Moved(model, random.Below(1000) + 1);
      REQUIRE(learned.size() == (c.encoding.grid.symmetric ? 2 : 3));
      Tensor direction = Tensor::Zeros(DType::kFloat, c.weight.shape());
      for (int64_t i = 0; i < direction.size(); ++i)
        direction.mutable_data<float>()[i] = static_cast<float>(random.Normal());
      const auto step = model.Gradients(learned, {direction}, 2, 0).value();

      std::vector<std::vector<double>> at = {Doubles(learned[0]), Doubles(learned[1])};
      if (learned.size() > 2)
        at.push_back(Doubles(learned[2]));
      else
        at.emplace_back(c.encoding.params.size(), 0.0);
      Surrogate f{.c = c, .adam = rule == Rule::kAdam, .residual = {}, .side = {}, .rounding = {}};
      f.Freeze(at[0], at[1], at[2]);
      for (const int side : f.side) clipped += side != 0;
      for (size_t which = 0; which < learned.size(); ++which)
        for (size_t i = 0; i < at[which].size(); ++i) {
          const double slope = Slope(f, at, which, i, Doubles(direction));
          const double found = step.gradients[which].data<float>()[i];
          INFO(which << " " << i << " " << c.encoding.grid.Name());
          CHECK(std::fabs(found - slope) <= 2e-5 * std::max(1.0, std::fabs(slope)) + 1e-5);
          ++(which == 0 ? weights : which == 1 ? scales : zeros);
        }
    }
  CHECK(weights > 1000);
  CHECK(scales > 200);
  CHECK(zeros > 100);
  CHECK(clipped > 100);
}

TEST_CASE("by momentum, weights and scales are learned as published, with the factor of scales") {
  const Case c = MakeCase({4, 10}, Granularity::kChannel, 0, 0, 3, true, 5);
  const auto forms = FormsOf(c, {.rule = Rule::kMomentum, .rate = 0.25, .scale_rate = 0.5});
  const std::vector<Learned>& learned = forms[0]->learned();
  REQUIRE(learned.size() == 2);
  CHECK(learned[0].rate == 0.25);
  CHECK(learned[0].codes);
  for (size_t g = 0; g < 4; ++g)
    CHECK(learned[1].start.data<float>()[g] == c.encoding.params[g].scale);
  // g = 1 / sqrt(n qmax) with n = 10 weights of a row and qmax = 3.
  CHECK(std::fabs(learned[1].rate - 0.5 / std::sqrt(30.0)) < 1e-12);
  CHECK(learned[1].low > 0);
  quant::Encoding tensor = c.encoding;
  tensor.granularity = Granularity::kTensor;
  CHECK(std::fabs(StepFactor(tensor, {4, 10}) - 1 / std::sqrt(120.0)) < 1e-12);
}

TEST_CASE("scales that are themselves on a grid stay, and weights are still learned") {
  Case c = MakeCase({4, 8}, Granularity::kBlock, 1, 4, 4, true, 6);
  c.encoding.grid.scales = quant::ScaleKind::kPowerOfTwo;
  CHECK(FormsOf(c, {})[0]->learned().size() == 1);
}

TEST_CASE("a zero point at an end of the grid stays") {
  quant::Encoding e{.grid = {.bits = 4}, .params = {{0.5f, 0}}};
  CHECK(!HasOffset(e));
  e.params[0].zero_point = 15;
  CHECK(!HasOffset(e));
  e.params[0].zero_point = 3;
  CHECK(HasOffset(e));
  e.grid.symmetric = true;
  CHECK(!HasOffset(e));
}

}  // namespace
}  // namespace roundel::tune
