#pragma once
// Random choices and inner products for tests of gradients.

#include <cstdint>

#include "lib/base/random.h"
#include "lib/tensor/tensor.h"
#include "tests/support/catch.h"

namespace roundel::grad {

class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed) {}
  bool Chance(double probability) { return random_.Uniform() < probability; }
  // From low to high, both included.
  int64_t Int(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_.Uniform() * static_cast<double>(high - low + 1));
  }
  double Number(double low, double high) { return low + (high - low) * random_.Uniform(); }
  Tensor Values(const Shape& shape, double low = -1, double high = 1) {
    Tensor t = Tensor::Empty(DType::kFloat, shape);
    float* to = t.mutable_data<float>();
    for (int64_t i = 0; i < t.size(); ++i) to[i] = static_cast<float>(Number(low, high));
    return t;
  }

 private:
  Random random_;
};

inline double Dot(const Tensor& a, const Tensor& b) {
  REQUIRE(a.size() == b.size());
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i)
    sum += static_cast<double>(a.data<float>()[i]) * static_cast<double>(b.data<float>()[i]);
  return sum;
}

}  // namespace roundel::grad
