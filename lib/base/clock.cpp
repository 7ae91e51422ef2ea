#include "lib/base/clock.h"

#include <chrono>

#include "lib/base/text.h"

namespace roundel {

double SteadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string ClockText(double seconds) {
  const auto s = static_cast<long long>(seconds + 0.5);
  return s < 3600 ? StrFormat("%lld:%02lld", s / 60, s % 60)
                  : StrFormat("%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace roundel
