#pragma GCC optimize("O3")

#include "lib/ops/kernels/block_products.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"
#include "lib/graph/rounded_products.h"

namespace roundel::engine {
namespace {

ROUNDEL_VECTORIZE void RoundBlock(const float* from, int64_t n, float* to) {
  // The bits of nonnegative floats have the same order as the floats.
  uint32_t largest = 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(from[i]) & 0x7fffffffu;
    largest = bits > largest ? bits : largest;
  }
  const auto m = std::bit_cast<float>(largest);
  const float factor = m > 0 ? 127.0f / m : 0.0f, scale = m / 127.0f;
  for (int64_t i = 0; i < n; ++i) to[i] = __builtin_nearbyintf(from[i] * factor) * scale;
}

}  // namespace

int64_t RoundedBlock(const graph::Node& node, bool floats, bool ordered) {
  const int64_t block = node.Int("block_size", 0);
  const bool rounds = node.Int("accuracy_level", 0) == 4 && !floats && !ordered &&
                      graph::RoundsInputOfBlocks(node.Int("bits", 4), block);
  return rounds ? block : 0;
}

void RoundBlocks(const float* from, int64_t rows, int64_t k, int64_t block, float* to) {
  ParallelFor(rows, 1 + (1 << 14) / std::max<int64_t>(1, k), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t at = 0; at < k; at += block)
        RoundBlock(from + row * k + at, std::min(block, k - at), to + row * k + at);
  });
}

}  // namespace roundel::engine
