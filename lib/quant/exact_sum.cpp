#include "lib/quant/exact_sum.h"

#include <cmath>

#include "lib/base/check.h"

namespace roundel::quant {
namespace {

constexpr int kBias = 1088;  // the smallest double is 2^-1074
constexpr int64_t kBase = int64_t{1} << 32;
// Each summand adds less than 2^32 to a limb of 63 bits.
constexpr int64_t kMaxPending = int64_t{1} << 30;

}  // namespace

void ExactSum::Carry(Limbs* limbs) {
  for (int i = 0; i + 1 < kLimbs; ++i) {
    int64_t& limb = (*limbs)[static_cast<size_t>(i)];
    int64_t low = limb % kBase;
    if (low < 0) low += kBase;
    (*limbs)[static_cast<size_t>(i) + 1] += (limb - low) / kBase;
    limb = low;
  }
}

void ExactSum::Add(double x) {
  INVARIANT(std::isfinite(x), "a sum of values that are not finite");
  if (x == 0) return;
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(x), &exponent);
  const auto mantissa = static_cast<unsigned __int128>(std::ldexp(fraction, 53));
  const int place =
      exponent - 53 + kBias;  // denormals: trailing zeros of the mantissa, place >= -38
  const unsigned __int128 bits = place >= 0 ? mantissa << (place % 32) : mantissa >> -place;
  const auto limb = static_cast<size_t>(place >= 0 ? place / 32 : 0);
  const int64_t sign = x < 0 ? -1 : 1;
  for (size_t k = 0; k < 3; ++k)
    limbs_[limb + k] += sign * static_cast<int64_t>((bits >> (32 * k)) & (kBase - 1));
  if (++since_carry_ < kMaxPending) return;
  Carry(&limbs_);
  since_carry_ = 0;
}

void ExactSum::Add(const ExactSum& other) {
  Limbs theirs = other.limbs_;
  Carry(&theirs);
  Carry(&limbs_);
  for (size_t i = 0; i < kLimbs; ++i) limbs_[i] += theirs[i];
  Carry(&limbs_);
  since_carry_ = 0;
}

double ExactSum::Value() const {
  Limbs limbs = limbs_;
  Carry(&limbs);
  const bool negative = limbs[kLimbs - 1] < 0;
  if (negative) {
    for (int64_t& limb : limbs) limb = -limb;
    Carry(&limbs);
  }
  double value = 0;
  for (int i = 0; i < kLimbs; ++i)
    value += std::ldexp(static_cast<double>(limbs[static_cast<size_t>(i)]), 32 * i - kBias);
  return negative ? -value : value;
}

}  // namespace roundel::quant
