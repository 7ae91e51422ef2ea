// DynamicQuantizeLinear, in the layout of its input.
#pragma GCC optimize("O3")

#include <algorithm>
#include <string>
#include <vector>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"
#include "lib/fast/integer/codes.h"
#include "lib/fast/integer/kernels.h"
#include "lib/ops/kernels/codes_math.h"

namespace roundel::engine {
namespace {

struct Range {
  float low = 0, high = 0;
};

// NaN is ignored.
ROUNDEL_VECTORIZE Range RangeOf(const float* x, int64_t n) {
  constexpr int kVectorLanes = 32;
  float low[kVectorLanes] = {}, high[kVectorLanes] = {};
  int64_t i = 0;
  for (; i + kVectorLanes <= n; i += kVectorLanes)
    for (int lane = 0; lane < kVectorLanes; ++lane) {
      low[lane] = x[i + lane] < low[lane] ? x[i + lane] : low[lane];
      high[lane] = x[i + lane] > high[lane] ? x[i + lane] : high[lane];
    }
  for (; i < n; ++i) {
    low[0] = x[i] < low[0] ? x[i] : low[0];
    high[0] = x[i] > high[0] ? x[i] : high[0];
  }
  Range range;
  for (int lane = 0; lane < kVectorLanes; ++lane) {
    range.low = low[lane] < range.low ? low[lane] : range.low;
    range.high = high[lane] > range.high ? high[lane] : range.high;
  }
  return range;
}

class DynamicQuantize : public FastKernel {
 public:
  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    if (!x || x->dtype() != DType::kFloat) return false;
    const Shape shape = x->shape;
    const Layout layout = x->layout;
    const int64_t n = NumElements(shape);
    const float* from = context.Data(0, layout);
    void* to = from ? context.OutputOf(0, DType::kUint8, shape, layout) : nullptr;
    auto* scale = static_cast<float*>(context.OutputOf(1, DType::kFloat, {}, Layout::kPlain));
    auto* zero = static_cast<uint8_t*>(context.OutputOf(2, DType::kUint8, {}, Layout::kPlain));
    if (!to || !scale || !zero) return false;
    const Range range = ParallelReduce(
        n, int64_t{1} << 15, Range{},
        [&](int64_t begin, int64_t end) { return RangeOf(from + begin, end - begin); },
        [](Range a, Range b) {
          return Range{b.low < a.low ? b.low : a.low, b.high > a.high ? b.high : a.high};
        });
    const float ends[2] = {range.low, range.high};
    const quant::Encoding encoding{.grid = GridOf(DType::kUint8),
                                   .params = {DynamicParams(ends, 2)}};
    *scale = encoding.params[0].scale;
    *zero = static_cast<uint8_t>(encoding.params[0].zero_point);
    EncodeBytes(from, encoding, n, to);
    return true;
  }
};

}  // namespace

std::unique_ptr<FastKernel> MakeDynamicQuantize(const KernelSpec& spec) {
  const std::vector<std::string>& outputs = spec.main->outputs;
  if (outputs.size() != 3 || std::count(outputs.begin(), outputs.end(), "") > 0) return nullptr;
  return std::make_unique<DynamicQuantize>();
}

}  // namespace roundel::engine
