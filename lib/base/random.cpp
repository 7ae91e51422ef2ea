#include "lib/base/random.h"

#include <cmath>
#include <numbers>

namespace roundel {

double Random::Normal() {
  const double u = 1.0 - Uniform();  // in (0, 1]
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * Uniform());
}

}  // namespace roundel
