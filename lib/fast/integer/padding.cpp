#include "lib/fast/integer/padding.h"

#include <algorithm>
#include <cstring>

#include "lib/base/parallel.h"

namespace roundel::engine {

bool HasPadding(const Window& window) {
  bool any = false;
  for (size_t i = 0; i < window.pads_begin.size(); ++i)
    any |= window.pads_begin[i] > 0 || window.pads_end[i] > 0;
  return any;
}

Shape TakePadding(const Shape& x, Window* window) {
  Shape padded = x;
  for (size_t i = 0; i < window->pads_begin.size(); ++i) {
    window->input[i] += window->pads_begin[i] + std::max<int64_t>(0, window->pads_end[i]);
    window->pads_begin[i] = 0;
    padded[i + 2] = window->input[i];
  }
  return padded;
}

const uint8_t* PadCodes(FastContext& context, const uint8_t* from, const Shape& x,
                        const Window& window, const Shape& padded, int zero) {
  auto* to = static_cast<uint8_t*>(context.Scratch(NumElements(padded)));
  if (!to) return nullptr;
  const bool image = x.size() == 4;
  const int64_t rows = image ? x[2] : 1, padded_rows = image ? padded[2] : 1;
  const int64_t top = image ? window.pads_begin[0] : 0;
  const auto row_bytes = static_cast<size_t>(x.back() * x[1]);
  const auto padded_bytes = static_cast<size_t>(padded.back() * x[1]);
  const auto left = static_cast<size_t>(window.pads_begin.back() * x[1]);
  ParallelFor(x[0] * padded_rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / padded_rows, row = i % padded_rows - top;
      uint8_t* line = to + static_cast<size_t>(i) * padded_bytes;
      const bool inside = row >= 0 && row < rows;
      std::memset(line, zero, inside ? left : padded_bytes);
      if (!inside) continue;
      std::memcpy(line + left, from + static_cast<size_t>(n * rows + row) * row_bytes, row_bytes);
      std::memset(line + left + row_bytes, zero, padded_bytes - left - row_bytes);
    }
  });
  return to;
}

}  // namespace roundel::engine
