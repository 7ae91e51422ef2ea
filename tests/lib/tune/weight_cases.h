#pragma once
// Weights with codes on grids of every kind, for the tests of forms.

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/base/random.h"
#include "lib/tune/forms_model.h"
#include "tests/support/catch.h"

namespace roundel::tune {

struct Case {
  Tensor weight;
  quant::Encoding encoding;
};

// A weight and codes of which some are not the nearest ones.
inline Case MakeCase(const Shape& shape, quant::Granularity granularity, int64_t axis,
                     int64_t block, int bits, bool symmetric, uint64_t seed) {
  Random random(seed);
  Case made{.weight = Tensor::Zeros(DType::kFloat, shape)};
  float* w = made.weight.mutable_data<float>();
  for (int64_t i = 0; i < made.weight.size(); ++i) w[i] = static_cast<float>(random.Normal());
  quant::Encoding& e = made.encoding;
  e.role = quant::Role::kWeight;
  e.grid = {.bits = bits, .is_signed = symmetric, .symmetric = symmetric};
  e.granularity = granularity;
  e.axis = axis;
  e.block_size = block;
  const int64_t scales = NumElements(ScaleShape(e, shape));
  for (int64_t i = 0; i < scales; ++i)
    e.params.push_back({static_cast<float>((0.5 + random.Uniform()) * 6 / (1 << bits)),
                        symmetric ? 0 : static_cast<int32_t>(random.Below(1u << bits))});
  Tensor codes = quant::QuantizeTensor(made.weight, e);
  std::vector<int64_t> moved = codes.ToInt64s();
  for (int64_t& code : moved)
    code = std::clamp<int64_t>(code + static_cast<int64_t>(random.Below(5)) - 2, e.grid.qmin(),
                               e.grid.qmax());
  e.codes = quant::CodesTensor(moved, e.grid, shape);
  return made;
}

inline std::vector<Case> AllCases() {
  std::vector<Case> cases;
  uint64_t seed = 1;
  for (const int bits : {2, 3, 4, 8})
    for (const bool symmetric : {false, true}) {
      cases.push_back(
          MakeCase({5, 3, 3, 2}, quant::Granularity::kChannel, 0, 0, bits, symmetric, seed++));
      cases.push_back(
          MakeCase({7, 4}, quant::Granularity::kChannel, 1, 0, bits, symmetric, seed++));
      cases.push_back(MakeCase({7, 4}, quant::Granularity::kBlock, 0, 3, bits, symmetric, seed++));
      cases.push_back(MakeCase({3, 8}, quant::Granularity::kBlock, 1, 4, bits, symmetric, seed++));
      cases.push_back(MakeCase({6}, quant::Granularity::kTensor, 0, 0, bits, symmetric, seed++));
    }
  return cases;
}

inline std::vector<Tensor> Starts(const FormsModel& model) {
  std::vector<Tensor> starts;
  for (const Learned& one : model.learned()) starts.push_back(one.start);
  return starts;
}

inline double Largest(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double worst = 0;
  for (int64_t i = 0; i < a.size(); ++i)
    worst = std::max<double>(worst, std::fabs(a.data<float>()[i] - b.data<float>()[i]));
  return worst;
}

}  // namespace roundel::tune
