#include "lib/graph/weight_scaling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace roundel::graph {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// A layer of every form: output or input channels first, groups, kernels, rows longer than a run.
const std::vector<std::string> kLayers = {
    "float32[6,4,2,3] w = zeros\ny = Conv(x, w)\n",
    "float32[6,4,1,1] w = zeros\ny = Conv(x, w)\n",
    "float32[6,2,3] w = zeros\ny = Conv<group=2>(x, w)\n",
    "float32[5,1,3] w = zeros\ny = Conv<group=5>(x, w)\n",
    "float32[4,6,2] w = zeros\ny = ConvTranspose(x, w)\n",
    "float32[4,3,2] w = zeros\ny = ConvTranspose<group=2>(x, w)\n",
    "float32[4,6] w = zeros\ny = Gemm(x, w)\n",
    "float32[6,4] w = zeros\ny = Gemm<transB=1>(x, w)\n",
    "float32[33,70] w = zeros\ny = MatMul(x, w)\n",
    "float32[3,700,3] w = zeros\ny = Conv(x, w)\n",
};

struct Case {
  Model model;
  WeightedLayer layer;
  Tensor weight() const { return *model.graph->Constant("w"); }
};

Tensor RandomLike(const Tensor& tensor, Random* random) {
  Tensor values = Tensor::Empty(DType::kFloat, tensor.shape());
  for (int64_t i = 0; i < values.size(); ++i)
    values.mutable_data<float>()[i] = static_cast<float>(random->Normal());
  return values;
}

Case Make(const std::string& body, Random* random, DType type = DType::kFloat) {
  auto model = Parse(StrCat("opset 13\ngraph g (float32 x) => (float32 y) {\n", body, "}\n"));
  REQUIRE(model.ok());
  Case c{std::move(*model), {}};
  c.model.graph->SetInitializer("w", RandomLike(c.weight(), random).FromFloatTo(type));
  std::string why;
  const auto layer = LayerProducing(*c.model.graph, "y", &why);
  REQUIRE(layer);
  c.layer = *layer;
  return c;
}

std::vector<double> Factors(int64_t n, Random* random) {
  std::vector<double> factors;
  for (int64_t i = 0; i < n; ++i) factors.push_back(std::exp(random->Normal()));
  return factors;
}

// f(output channel, input channel, index in the weight) over all groups.
template <typename F>
void ForEach(const WeightedLayer& l, const F& f) {
  for (int64_t g = 0; g < l.groups; ++g)
    for (int64_t o = 0; o < l.out_per_group; ++o)
      for (int64_t i = 0; i < l.in_per_group; ++i)
        for (int64_t k = 0; k < l.kernel; ++k)
          f(g * l.out_per_group + o, g * l.in_per_group + i, l.Index(g, o, i, k));
}

}  // namespace

TEST_CASE("a scaled weight is the product by output and input channel, rounded once") {
  Random random(1);
  for (const std::string& body : kLayers)
    for (const DType type : {DType::kFloat, DType::kDouble, DType::kFloat16}) {
      INFO(body << DTypeName(type));
      const Case c = Make(body, &random, type);
      const std::vector<double> before = ToDoubles(c.weight());
      const auto out = Factors(c.layer.out_channels(), &random);
      const auto in = Factors(c.layer.in_channels(), &random);
      for (const bool by_out : {false, true})
        for (const bool by_in : {false, true}) {
          std::vector<double> expected = before;
          ForEach(c.layer, [&](int64_t o, int64_t i, int64_t at) {
            expected[static_cast<size_t>(at)] *= (by_out ? out[static_cast<size_t>(o)] : 1) *
                                                 (by_in ? in[static_cast<size_t>(i)] : 1);
          });
          const auto scaled =
              ScaledWeight(*c.model.graph, c.layer, by_out ? out : std::vector<double>(),
                           by_in ? in : std::vector<double>());
          REQUIRE(scaled);
          CHECK(*scaled == FromDoubles(expected, type, c.weight().shape()));
        }
    }
}

TEST_CASE("extremes by kernel, and what merges them") {
  Random random(2);
  for (const std::string& body : kLayers) {
    INFO(body);
    const Case c = Make(body, &random);
    const WeightedLayer& l = c.layer;
    std::vector<float> expected(static_cast<size_t>(l.out_channels() * l.in_per_group), 0.0f);
    ForEach(l, [&](int64_t o, int64_t i, int64_t at) {
      float& largest = expected[static_cast<size_t>(o * l.in_per_group + i % l.in_per_group)];
      largest = std::max(largest, std::fabs(c.weight().data<float>()[at]));
    });
    const Tensor extremes = KernelExtremes(*c.model.graph, l);
    REQUIRE(extremes.size() == static_cast<int64_t>(expected.size()));
    for (size_t i = 0; i < expected.size(); ++i)
      CHECK(std::fabs(extremes.data<float>()[i]) == expected[i]);
  }
  std::vector<float> a, b;
  for (int64_t n = 0; n < 70; ++n) {
    float largest = 0;
    std::vector<float> merged(a.size(), 0.5f), by_loop = merged;
    for (size_t i = 0; i < a.size(); ++i) {
      largest = std::max(largest, std::fabs(a[i]) * b[i]);
      by_loop[i] = std::max(by_loop[i], std::fabs(a[i]) * 0.75f);
    }
    MergeScaled(a.data(), 0.75f, n, merged.data());
    CHECK(LargestProduct(a.data(), b.data(), n) == largest);
    CHECK(merged == by_loop);
    a.push_back(static_cast<float>(random.Normal()));
    b.push_back(static_cast<float>(std::fabs(random.Normal())));
  }
}

TEST_CASE("what does not fit the type, or is not finite, is refused") {
  Random random(3);
  for (const std::string& body : kLayers) {
    INFO(body);
    Case c = Make(body, &random);
    CHECK(AllFinite(c.weight()));
    const std::vector<double> huge(static_cast<size_t>(c.layer.out_channels()), 1e39);
    CHECK_FALSE(ScaledWeight(*c.model.graph, c.layer, huge, {}));
    for (const float bad : {kInf, -kInf, std::nanf("")})
      for (const int64_t at : {int64_t{0}, c.weight().size() / 2, c.weight().size() - 1}) {
        const Tensor good = c.weight();
        Tensor weight = good;
        weight.mutable_data<float>()[at] = bad;
        c.model.graph->SetInitializer("w", weight);
        CHECK_FALSE(AllFinite(c.weight()));
        CHECK_FALSE(ScaledWeight(*c.model.graph, c.layer, {}, {}));
        c.model.graph->SetInitializer("w", good);
      }
  }
  Case half = Make(kLayers[0], &random, DType::kFloat16);
  CHECK(AllFinite(half.weight()));
  CHECK_FALSE(ScaledWeight(*half.model.graph, half.layer, std::vector<double>(6, 1e6), {}));
}

TEST_CASE("sums of magnitudes reach what they add up to") {
  Random random(4);
  for (const std::string& body : kLayers)
    for (const DType type : {DType::kFloat, DType::kFloat16}) {
      INFO(body);
      const Case c = Make(body, &random, type);
      const std::vector<double> weight = ToDoubles(c.weight());
      std::vector<double> sums(static_cast<size_t>(c.layer.out_channels()), 0.0);
      ForEach(c.layer, [&](int64_t o, int64_t, int64_t at) {
        sums[static_cast<size_t>(o)] += std::fabs(weight[static_cast<size_t>(at)]);
      });
      for (size_t o = 0; o < sums.size(); ++o) {
        const auto channel = static_cast<int64_t>(o);
        CHECK(MagnitudesReach(*c.model.graph, c.layer, channel, sums[o] * 0.999));
        CHECK_FALSE(MagnitudesReach(*c.model.graph, c.layer, channel, sums[o] * 1.001));
      }
    }
}

TEST_CASE("weights in a file are scaled where they lie, at any alignment") {
  Random random(5);
  const support::TempFolder folder;
  for (const int64_t offset : {0, 1, 4, 7}) {
    Case c = Make(kLayers[0], &random);
    const Tensor weight = c.weight();
    const std::string bytes(reinterpret_cast<const char*>(weight.raw()),
                            static_cast<size_t>(weight.byte_size()));
    const auto file = *MappedFile::Open(folder.Write(
        "w" + std::to_string(offset), std::string(static_cast<size_t>(offset), 'x') + bytes));
    const auto out = Factors(6, &random);
    const auto expected = ScaledWeight(*c.model.graph, c.layer, out, {});
    const Tensor extremes = KernelExtremes(*c.model.graph, c.layer);
    c.model.graph->SetInitializer("w", Tensor::Mapped(DType::kFloat, weight.shape(), file, offset));
    CHECK(*ScaledWeight(*c.model.graph, c.layer, out, {}) == *expected);
    CHECK(KernelExtremes(*c.model.graph, c.layer) == extremes);
    CHECK(AllFinite(c.weight()));
  }
}

}  // namespace roundel::graph
