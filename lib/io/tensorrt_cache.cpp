#include "lib/io/tensorrt_cache.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "lib/base/text.h"

namespace roundel::io {

std::string TensorRtCache(const quant::EncodingTable& table) {
  // The version is not read back; EntropyCalibration2 is what current calibrators expect.
  std::string text = "TRT-8601-EntropyCalibration2\n";
  for (const auto& [name, e] : table) {
    if (e.role != quant::Role::kActivation || e.grid.is_float()) continue;
    double largest = 0;  // of both sides, because the negative one may be larger
    for (const quant::QParams& p : e.params)
      for (const int32_t code : {e.grid.qmin(), e.grid.qmax()})
        largest =
            std::max(largest, std::fabs((static_cast<double>(code) - p.zero_point) * p.scale));
    const auto scale = static_cast<float>(largest / 127);
    text += StrCat(name, ": ", StrFormat("%08x", std::bit_cast<uint32_t>(scale)), "\n");
  }
  return text;
}

}  // namespace roundel::io
