#pragma once
// Scales that are codes themselves, as encodings of version 2.x may have them.

#include <vector>

#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel::io {

struct Numbers {
  Shape shape;
  std::vector<double> values;  // row-major
};

// scale = (x - x_zero_point) * x_scale. `scale` (and `zero`, if not null) has one number, one for
// each index along `axis`, or the rank of x with blocks of `block` along `axis` and dimensions of 1
// that are repeated. kUsage where it does not fit.
Result<Numbers> CodedScales(Numbers x, const Numbers& scale, const Numbers* zero, int64_t axis,
                            int64_t block);

}  // namespace roundel::io
