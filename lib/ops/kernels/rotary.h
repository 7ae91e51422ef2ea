#pragma once
// Rotary position embedding: pairs of a row's elements turned by an angle that grows with the
// position.

#include <cstdint>

namespace roundel::engine {

struct Rotation {
  int64_t width = 0;         // elements of a row that turn (even); those behind are copied
  bool interleaved = false;  // pairs are neighbours; else the halves belong together
};

// to[0, row) = from[0, row) turned; cos and sin hold width / 2 values.
inline void RotateRow(const Rotation& rotation, const float* cos, const float* sin, int64_t row,
                      const float* from, float* to) {
  const int64_t half = rotation.width / 2;
  for (int64_t i = 0; i < half; ++i) {
    const int64_t a = rotation.interleaved ? 2 * i : i;
    const int64_t b = rotation.interleaved ? a + 1 : half + i;
    const float x = from[a], y = from[b];
    to[a] = cos[i] * x - sin[i] * y;
    to[b] = sin[i] * x + cos[i] * y;
  }
  for (int64_t i = 2 * half; i < row; ++i) to[i] = from[i];
}

}  // namespace roundel::engine
