#pragma once
// Attention masks in the forms that exporters write, with the Softmax that follows, and its result by
// definition.

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "lib/base/random.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"
#include "tests/support/vector_source.h"

namespace roundel::support {

struct MaskForm {
  std::string name;
  std::string nodes;           // from x and keep (1 or 0) to s
  bool takes_infinity = true;  // 0 * infinity is no number
  double factor = 1;           // of the scores in s
};

inline const std::vector<MaskForm>& MaskForms() {
  static const std::vector<MaskForm> forms = {
      {"add", "m = Sub(one, keep)\n n = Mul(m, low)\n s = Add(x, n)", false},
      {"add, mask first", "m = Sub(one, keep)\n n = Mul(low, m)\n s = Add(n, x)", false},
      {"add of keep - 1", "m = Sub(keep, one)\n n = Mul(m, high)\n s = Add(x, n)", false},
      {"subtract", "m = Sub(one, keep)\n n = Mul(m, high)\n s = Sub(x, n)", false},
      {"twice", "m = Sub(one, keep)\n n = Mul(m, low)\n r = Add(x, n)\n s = Add(r, n)", false},
      {"then a bias", "m = Sub(one, keep)\n n = Mul(m, low)\n r = Add(x, n)\n s = Add(r, one)",
       false},
      {"then scaled", "m = Sub(one, keep)\n n = Mul(m, low)\n r = Add(x, n)\n s = Div(r, two)",
       false, 0.5},
      {"where", "c = Cast<to=9>(keep)\n s = Where(c, x, low)"},
      {"where, added", "c = Cast<to=9>(keep)\n n = Where(c, zero, low)\n s = Add(x, n)"},
      {"where, twice",
       "c = Cast<to=9>(keep)\n n = Where(c, zero, low)\n r = Add(x, n)\n s = Add(r, n)"},
      {"least of both", "c = Cast<to=9>(keep)\n n = Where(c, high, low)\n s = Min(x, n)"}};
  return forms;
}

// How the scores reach their exponentials: from s to y.
inline const std::vector<std::string>& SoftmaxForms() {
  static const std::vector<std::string> forms = {
      "y = Softmax<axis=-1>(s)",
      "t = Reshape(s, shape)\n p = Softmax<axis=-1>(t)\n y = Reshape(p, back)",
      "t = Transpose<perm=[1,0]>(s)\n p = Softmax<axis=0>(t)\n y = Transpose<perm=[1,0]>(p)",
      "t = ReduceMax<axes=[1]>(s)\n d = Sub(s, t)\n e = Exp(d)\n z = ReduceSum(e, axis)\n y = "
      "Div(e, z)"};
  return forms;
}

constexpr int64_t kMaskKeys = 6;

inline graph::Model MaskModel(const MaskForm& form, const std::string& softmax, float low) {
  auto parsed = graph::Parse(
      "opset 13\ngraph g (float32[N,6] x, float32[N,6] keep) => (float32[N,6] y) {\n"
      "int64[3] shape = {-1, 1, 6}\nint64[2] back = {-1, 6}\nint64[1] axis = {1}\n" +
      form.nodes + "\n" + softmax + "\n}");
  INFO((parsed.ok() ? "" : parsed.status().message()));
  REQUIRE(parsed.ok());
  const auto set = [&](const char* name, float value) {
    parsed->graph->SetInitializer(name, Tensor::FromVector<float>({}, {value}));
  };
  set("zero", 0);
  set("one", 1);
  set("two", 2);
  set("low", low);
  set("high", -low);
  parsed->graph->RemoveUnusedInitializers();
  return std::move(parsed).value();
}

// Rows of scores; where `masked`, any but the first of a row may be masked.
inline Batch MaskBatch(int64_t rows, bool masked, uint64_t seed) {
  Random random(seed);
  Batch batch;
  batch.size = rows;
  batch.inputs = {RandomTensor({rows, kMaskKeys}, random, 1.5),
                  Tensor::Zeros(DType::kFloat, {rows, kMaskKeys})};
  float* keep = batch.inputs[1].mutable_data<float>();
  for (int64_t i = 0; i < rows * kMaskKeys; ++i)
    keep[i] = masked && i % kMaskKeys != 0 && random.Uniform() < 0.4 ? 0.0f : 1.0f;
  for (int64_t i = 0; i < rows; ++i) batch.sample_names.push_back("row " + std::to_string(i));
  return batch;
}

// The largest difference between `y` and the shares of the scores that are not masked, in double.
inline double MaskError(const Batch& batch, double factor, const Tensor& y) {
  const float *x = batch.inputs[0].data<float>(), *keep = batch.inputs[1].data<float>();
  double largest = 0;
  for (int64_t row = 0; row < batch.size; ++row) {
    double sum = 0;
    const int64_t begin = row * kMaskKeys, end = begin + kMaskKeys;
    for (int64_t i = begin; i < end; ++i) sum += keep[i] != 0 ? std::exp(factor * x[i]) : 0;
    for (int64_t i = begin; i < end; ++i) {
      const double expected = keep[i] != 0 ? std::exp(factor * x[i]) / sum : 0;
      const double error = std::fabs(y.data<float>()[i] - expected);
      largest = error <= largest ? largest : error;  // NaN counts
    }
  }
  return largest;
}

}  // namespace roundel::support
