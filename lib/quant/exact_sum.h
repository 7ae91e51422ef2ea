#pragma once
// An exact sum of doubles: a fixed-point number that is wide enough for every double. The result
// does not depend on the order of the summands or on the grouping of partial sums.

#include <array>
#include <cstdint>

namespace roundel::quant {

class ExactSum {
 public:
  void Add(double x);  // Requires a finite x
  void Add(const ExactSum& other);
  double Value() const;  // within an ulp or two; the same bits for the same sum

 private:
  static constexpr int kLimbs = 68;
  using Limbs = std::array<int64_t, kLimbs>;
  static void Carry(Limbs* limbs);

  // Limb i counts units of 2^(32 i - 1088). Between carries a limb may exceed 32 bits.
  Limbs limbs_{};
  int64_t since_carry_ = 0;
};

}  // namespace roundel::quant
