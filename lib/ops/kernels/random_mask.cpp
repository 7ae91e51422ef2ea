// RandomMask(x, seed) -> mask: booleans of the shape of x, true with attribute `probability`. Each
// element depends on the seed (int64), the attribute `site` and its index alone, so that masks are
// the same for any number of threads. QDrop (Wei et al. 2022) draws which values stay float.
#pragma GCC optimize("O3")

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"

namespace roundel::engine {
namespace {

// The finalizer of splitmix64.
inline uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

Status RandomMask(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const Tensor &x = *context.input(0), &seed = *context.input(1);
  if (seed.dtype() != DType::kInt64 || seed.size() != 1)
    return ModelError("the seed is not one int64");
  ASSIGN_OR_RETURN(Tensor * mask, NewOutput(context, 0, DType::kBool, x.shape()));
  const double probability = context.node().Float("probability", 0.5f);
  // Four draws of 16 bits from each number.
  const auto limit = static_cast<uint32_t>(std::lround(std::clamp(probability, 0.0, 1.0) * 65536));
  const uint64_t start =
      Mix(static_cast<uint64_t>(seed.data<int64_t>()[0]) * 0x9e3779b97f4a7c15ULL +
          static_cast<uint64_t>(context.node().Int("site", 0)) + 1);
  auto* to = static_cast<uint8_t*>(mask->mutable_raw());
  const int64_t n = x.size();
  ParallelFor((n + 3) / 4, kGrain / 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      uint64_t bits = Mix(start + static_cast<uint64_t>(i + 1) * 0x9e3779b97f4a7c15ULL);
      for (int64_t k = i * 4; k < std::min(n, i * 4 + 4); ++k, bits >>= 16)
        to[k] = (bits & 0xffff) < limit;
    }
  });
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> RandomMaskRows() {
  return {{"RandomMask", "roundel", 1, kLatest, &RandomMask}};
}

}  // namespace roundel::engine
