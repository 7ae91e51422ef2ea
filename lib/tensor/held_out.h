#pragma once
// Which samples passes keep apart to judge what they learn from the others.

#include <cmath>
#include <cstdint>

namespace roundel {

// Each n-th sample, the same for all passes with the same share: what one pass holds out no other
// one learns from.
class HeldOut {
 public:
  // `share` of `samples`, 0 to 0.5. None if there would be fewer than two.
  HeldOut(double share, int64_t samples)
      : every_(share > 0 ? static_cast<int64_t>(std::lround(1 / share)) : 0) {
    if (samples < 2 * every_) every_ = 0;
  }
  bool any() const { return every_ > 0; }
  // `sample`: its number in the sweep, without counting views (DataSource::views).
  bool operator()(int64_t sample) const { return any() && sample % every_ == every_ - 1; }

 private:
  int64_t every_;
};

}  // namespace roundel
