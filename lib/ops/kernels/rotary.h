#pragma once
// Rotary position embedding: rotates pairs of elements of a row by an angle that grows with the
// position.

#include <cstdint>

namespace roundel::engine {

struct Rotation {
  int64_t width = 0;         // number of elements to rotate (even); those after them are copied
  bool interleaved = false;  // pairs are neighbors; else element i pairs with i + width / 2
};

// to[0, row) = from[0, row) rotated; cos and sin hold width / 2 values.
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
