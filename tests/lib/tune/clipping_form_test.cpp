// Oracles: the formulas of learned clipping in double, element by element; for gradients the surrogate
// in which the residual of every rounding is held fixed, by central differences.

#include <algorithm>
#include <cmath>

#include "lib/base/random.h"
#include "lib/tune/clipping_form.h"
#include "lib/tune/forms_model.h"
#include "tests/support/catch.h"

namespace roundel::tune {
namespace {

using quant::Encoding;
using quant::Granularity;

struct Case {
  Tensor weight;
  Encoding encoding;
  std::vector<ChannelScale> scales;
};

Tensor Normals(const Shape& shape, double deviation, Random* random) {
  Tensor made = Tensor::Empty(DType::kFloat, shape);
  for (int64_t i = 0; i < made.size(); ++i)
    made.mutable_data<float>()[i] = static_cast<float>(deviation * random->Normal());
  return made;
}

// Rows divided by one vector, columns multiplied by another, two columns by the same scale.
std::vector<ChannelScale> ScalesOf(const Shape& shape, Random* random) {
  std::vector<ChannelScale> scales;
  for (size_t axis = 0; axis < std::min<size_t>(2, shape.size()); ++axis) {
    Shape along(shape.size(), 1);
    along[axis] = shape[axis];
    std::vector<int64_t> channel;
    for (int64_t i = 0; i < shape[axis]; ++i) channel.push_back(axis == 1 ? i / 2 : i);
    const int64_t count = channel.back() + 1;
    scales.push_back({.logarithms = {.name = axis == 0 ? "rows" : "columns",
                                     .start = Normals({count}, 0.5, random)},
                      .channel = Tensor::FromVector(along, channel),
                      .divides = axis == 0});
  }
  return scales;
}

Case MakeCase(const Shape& shape, Granularity granularity, int64_t axis, int64_t block,
              quant::Grid grid, bool scaled, uint64_t seed) {
  Random random(seed);
  Case made{.weight = Normals(shape, 1, &random), .encoding = {}, .scales = {}};
  if (scaled) made.scales = ScalesOf(shape, &random);
  Encoding& e = made.encoding;
  e.role = quant::Role::kWeight;
  e.grid = grid;
  e.granularity = granularity;
  e.axis = axis;
  e.block_size = block;
  e.params.resize(static_cast<size_t>(NumElements(ScaleShape(e, shape))));
  return made;
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  uint64_t seed = 1;
  for (const bool scaled : {false, true})
    for (const int bits : {2, 3, 4, 8})
      for (const int kind : {0, 1, 2}) {
        quant::Grid grid{.bits = bits, .is_signed = kind > 0, .symmetric = kind > 0};
        if (kind == 2) grid.scales = quant::ScaleKind::kSigned;
        cases.push_back(MakeCase({5, 3, 3, 2}, Granularity::kChannel, 0, 0, grid, scaled, seed++));
        cases.push_back(MakeCase({7, 4}, Granularity::kChannel, 1, 0, grid, scaled, seed++));
        cases.push_back(MakeCase({7, 4}, Granularity::kBlock, 0, 3, grid, scaled, seed++));
        cases.push_back(MakeCase({3, 8}, Granularity::kBlock, 1, 4, grid, scaled, seed++));
        cases.push_back(MakeCase({6}, Granularity::kTensor, 0, 0, grid, scaled, seed++));
      }
  return cases;
}

std::vector<FormPtr> FormsOf(const Case& c, double start) {
  std::vector<FormPtr> forms;
  forms.push_back(MakeClippingForm("w", c.weight, c.encoding, {.start = start}, c.scales));
  return forms;
}

std::vector<Tensor> Starts(const FormsModel& model) {
  std::vector<Tensor> starts;
  for (const Learned& one : model.learned()) starts.push_back(one.start);
  return starts;
}

// The channel of element `flat` in a scale.
int64_t ChannelOf(const ChannelScale& scale, const Shape& shape, int64_t flat) {
  const auto axis = scale.divides ? size_t{0} : size_t{1};
  int64_t inner = 1;
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  return scale.channel.data<int64_t>()[flat / inner % shape[axis]];
}

// What stays fixed when learned tensors move a little.
struct Frozen {
  bool fixed = false;
  std::vector<double> residual;       // of a rounding inside of the grid
  std::vector<int> side;              // -1 below the grid, 1 above, 0 inside
  std::vector<double> zero_residual;  // by group
};

// The quantized weight by the formulas. Fills `frozen` if it is not fixed, else uses it.
std::vector<double> Formula(const Case& c, const std::vector<std::vector<double>>& learned,
                            Frozen* frozen) {
  const Shape& shape = c.weight.shape();
  const auto count = static_cast<size_t>(c.weight.size());
  std::vector<double> w(count), low(c.encoding.params.size(), 0), high = low;
  for (size_t i = 0; i < count; ++i) {
    const auto flat = static_cast<int64_t>(i);
    w[i] = c.weight.data<float>()[i];
    for (size_t s = 0; s < c.scales.size(); ++s) {
      const double log = learned[s + 2][static_cast<size_t>(ChannelOf(c.scales[s], shape, flat))];
      w[i] *= std::exp(c.scales[s].divides ? -log : log);
    }
    const auto g = static_cast<size_t>(c.encoding.ParamIndex(shape, flat));
    low[g] = std::min(low[g], w[i]);
    high[g] = std::max(high[g], w[i]);
  }
  const double qmin = c.encoding.grid.qmin(), qmax = c.encoding.grid.qmax();
  std::vector<double> scale(low.size()), zero(low.size());
  if (!frozen->fixed) frozen->zero_residual.assign(low.size(), 0);
  for (size_t g = 0; g < low.size(); ++g) {
    high[g] /= 1 + std::exp(-learned[0][g]);
    low[g] /= 1 + std::exp(-learned[1][g]);
    if (c.encoding.grid.scales == quant::ScaleKind::kSigned)
      scale[g] = (-low[g] >= high[g] ? low[g] : high[g]) / qmin;
    else if (c.encoding.grid.symmetric)
      scale[g] = 2 * std::max(-low[g], high[g]) / (qmax - qmin);
    else
      scale[g] = (high[g] - low[g]) / (qmax - qmin);
    if (c.encoding.grid.symmetric) continue;
    const double exact = qmin - low[g] / scale[g];
    if (!frozen->fixed) frozen->zero_residual[g] = std::nearbyint(exact) - exact;
    zero[g] = exact + frozen->zero_residual[g];
  }
  if (!frozen->fixed) frozen->residual.assign(count, 0), frozen->side.assign(count, 0);
  std::vector<double> result(count);
  for (size_t i = 0; i < count; ++i) {
    const auto g = static_cast<size_t>(c.encoding.ParamIndex(shape, static_cast<int64_t>(i)));
    const double place = w[i] / scale[g];
    // The middle of a symmetric grid: 0 if it is signed.
    if (!frozen->fixed) {
      const double code = std::nearbyint(place);
      frozen->side[i] = code < qmin - zero[g] ? -1 : code > qmax - zero[g] ? 1 : 0;
      frozen->residual[i] = code - place;
    }
    const int side = frozen->side[i];
    result[i] = scale[g] * (side == 0   ? place + frozen->residual[i]
                            : side == 1 ? qmax - zero[g]
                                        : qmin - zero[g]);
  }
  return result;
}

std::vector<std::vector<double>> Doubles(const std::vector<Tensor>& tensors) {
  std::vector<std::vector<double>> all;
  for (const Tensor& t : tensors) all.emplace_back(t.data<float>(), t.data<float>() + t.size());
  return all;
}

// Whether single precision may round some place of the weight otherwise.
bool NearTie(const Case& c, const Frozen& frozen) {
  for (const double r : frozen.residual)
    if (std::fabs(std::fabs(r) - 0.5) < 1e-4) return true;
  for (const double r : frozen.zero_residual)
    if (std::fabs(std::fabs(r) - 0.5) < 1e-4) return true;
  return c.weight.size() == 0;
}

TEST_CASE("clipped weights follow the formulas, in the graph and in the end") {
  int ran = 0;
  for (const Case& c : AllCases())
    for (const double start : {4.0, 0.3}) {
      const auto forms = FormsOf(c, start);
      const FormsModel model = FormsModel::Create(forms).value();
      Frozen frozen;
      const std::vector<double> expected = Formula(c, Doubles(Starts(model)), &frozen);
      if (NearTie(c, frozen)) continue;
      const Tensor final = model.Finals(Starts(model))[0];
      const Tensor value = model.Values(Starts(model)).value()[0];
      for (size_t i = 0; i < expected.size(); ++i) {
        CHECK(std::fabs(final.data<float>()[i] - expected[i]) < 1e-4);
        CHECK(std::fabs(value.data<float>()[i] - expected[i]) < 1e-4);
      }
      ++ran;
    }
  CHECK(ran > 200);
}

TEST_CASE("clipping and shared scales have the gradients of the frozen-residual surrogate") {
  Random random(5);
  int ran = 0;
  for (const Case& c : AllCases()) {
    const auto forms = FormsOf(c, 1.0);
    const FormsModel model = FormsModel::Create(forms).value();
    const Tensor direction = Normals(c.weight.shape(), 1, &random);
    const std::vector<Tensor> at = Starts(model);
    const auto step = model.Gradients(at, {direction}, 2, 0).value();
    Frozen frozen;
    std::vector<std::vector<double>> learned = Doubles(at);
    Formula(c, learned, &frozen);
    if (NearTie(c, frozen)) continue;
    frozen.fixed = true;
    const auto inner = [&] {
      const std::vector<double> value = Formula(c, learned, &frozen);
      double sum = 0;
      for (size_t i = 0; i < value.size(); ++i)
        sum += value[i] * static_cast<double>(direction.data<float>()[i]);
      return sum;
    };
    for (size_t which = 0; which < learned.size(); ++which)
      for (size_t i = 0; i < learned[which].size(); ++i) {
        const double x = learned[which][i], h = 1e-5;
        learned[which][i] = x + h;
        const double above = inner();
        learned[which][i] = x - h;
        const double slope = (above - inner()) / (2 * h);
        learned[which][i] = x;
        const double found = step.gradients[which].data<float>()[i];
        INFO(which << " " << i << " of " << c.encoding.grid.Name());
        CHECK(std::fabs(found - slope) <= 2e-3 * std::max(1.0, std::fabs(slope)));
        ++ran;
      }
  }
  CHECK(ran > 1000);
}

TEST_CASE("forms that share a learned tensor have one gradient, the sum of theirs") {
  Random random(9);
  const Tensor gain = Normals({4}, 1, &random), bias = Normals({4}, 1, &random);
  const ChannelScale scale{.logarithms = {.name = "shared", .start = Normals({4}, 0.3, &random)},
                           .channel = Tensor::FromVector<int64_t>({4}, {0, 1, 2, 3}),
                           .divides = true};
  std::vector<FormPtr> forms;
  forms.push_back(MakeScaledForm("gain", gain, {scale}, nullptr));
  forms.push_back(MakeScaledForm("bias", bias, {scale}, nullptr));
  const FormsModel model = FormsModel::Create(forms).value();
  REQUIRE(model.learned().size() == 1);
  const Tensor dg = Normals({4}, 1, &random), db = Normals({4}, 1, &random);
  const auto step = model.Gradients(Starts(model), {dg, db}, 2, 0).value();
  const std::vector<Tensor> finals = model.Finals(Starts(model));
  for (int64_t i = 0; i < 4; ++i) {
    const double s = std::exp(static_cast<double>(scale.logarithms.start.data<float>()[i]));
    const double g = gain.data<float>()[i], b = bias.data<float>()[i];
    CHECK(std::fabs(finals[0].data<float>()[i] - g / s) < 1e-5);
    CHECK(std::fabs(finals[1].data<float>()[i] - b / s) < 1e-5);
    const double slope = -(g * static_cast<double>(dg.data<float>()[i]) +
                           b * static_cast<double>(db.data<float>()[i])) /
                         s;
    CHECK(std::fabs(step.gradients[0].data<float>()[i] - slope) < 1e-5);
  }
}

}  // namespace
}  // namespace roundel::tune
