#include "lib/quant/tensor_ranges.h"

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/quant/scan.h"

namespace roundel::quant {
namespace {

struct Layout {
  int64_t outer = 1, length = 1, inner = 1;  // elements before, along and after the axis
};

Layout SplitAt(const Shape& shape, int64_t axis) {
  Layout layout;
  for (size_t i = 0; i < shape.size(); ++i) {
    const auto place = static_cast<int64_t>(i);
    (place < axis ? layout.outer : place == axis ? layout.length : layout.inner) *= shape[i];
  }
  return layout;
}

void Widen(const Scan& scan, Scan* total) { *total = CombineScans(*total, scan); }

std::vector<Scan> ScanChannels(const float* x, const Layout& l) {
  std::vector<Scan> scans(static_cast<size_t>(l.length));
  ParallelFor(l.length, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c)
      for (int64_t o = 0; o < l.outer; ++o)
        Widen(ScanRange(x + (o * l.length + c) * l.inner, l.inner), &scans[c]);
  });
  return scans;
}

// A scale per block along the axis and per element after it.
std::vector<Scan> ScanBlocks(const float* x, const Layout& l, int64_t block_size) {
  const int64_t blocks = (l.length + block_size - 1) / block_size;
  std::vector<Scan> scans(static_cast<size_t>(l.outer * blocks * l.inner));
  ParallelFor(l.outer * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t o = row / blocks, first = row % blocks * block_size;
      const int64_t last = std::min(l.length, first + block_size);
      const float* block = x + (o * l.length + first) * l.inner;
      if (l.inner == 1) {
        scans[row] = ScanRange(block, last - first);
        continue;
      }
      for (int64_t k = 0; k < last - first; ++k)
        for (int64_t i = 0; i < l.inner; ++i)
          Widen(ScanRange(block + k * l.inner + i, 1), &scans[row * l.inner + i]);
    }
  });
  return scans;
}

// The elements of scale number `scale`.
std::vector<float> Gather(const float* x, const Layout& l, const Encoding& layout, int64_t scale) {
  std::vector<float> values;
  const auto append = [&](const float* from, int64_t n) {
    values.insert(values.end(), from, from + n);
  };
  if (layout.granularity == Granularity::kTensor) {
    append(x, l.outer * l.length * l.inner);
  } else if (layout.granularity == Granularity::kChannel) {
    for (int64_t o = 0; o < l.outer; ++o) append(x + (o * l.length + scale) * l.inner, l.inner);
  } else {
    const int64_t blocks = (l.length + layout.block_size - 1) / layout.block_size;
    const int64_t row = scale / l.inner, inner = scale % l.inner;
    const int64_t outer = row / blocks, first = row % blocks * layout.block_size;
    for (int64_t k = first; k < std::min(l.length, first + layout.block_size); ++k)
      values.push_back(x[(outer * l.length + k) * l.inner + inner]);
  }
  return values;
}

Distribution DistributionOf(std::span<const float> values) {
  constexpr size_t kSortable = 1 << 18;
  if (values.size() < kSortable) return Distribution::Of(values);
  ValueStatistics statistics({.histogram = true});
  const Status seen = statistics.Observe(values);
  INVARIANT(seen.ok(), "values were checked");
  return Distribution::Of(statistics);
}

}  // namespace

Result<std::vector<Range>> TensorRanges(const Tensor& value, const Encoding& layout,
                                        const Observer& method) {
  ASSIGN_OR_RETURN(std::vector<Range> ranges, TensorRanges(value, layout));
  if (method.needs() == StatisticsNeeds{}) return ranges;
  INVARIANT(!method.needs().samples, "weights have no samples");
  const Layout l = SplitAt(value.shape(), layout.axis);
  // Parallel loops inside one set only if there is a single scale.
  ParallelFor(std::ssize(ranges), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Range& range = ranges[static_cast<size_t>(i)];
      Evidence evidence{.seen = range};
      evidence.values = DistributionOf(Gather(value.data<float>(), l, layout, i));
      range = method.Compute(evidence, layout.grid);
    }
  });
  return ranges;
}

Result<std::vector<Range>> TensorRanges(const Tensor& value, const Encoding& layout) {
  const float* x = value.data<float>();
  const auto all = ScanFinite(value.span<float>());
  if (!all.ok()) return ModelError(all.status().message());
  std::vector<Scan> scans;
  const Layout l = SplitAt(value.shape(), layout.axis);
  switch (layout.granularity) {
    case Granularity::kTensor: scans = {*all}; break;
    case Granularity::kChannel: scans = ScanChannels(x, l); break;
    case Granularity::kBlock: scans = ScanBlocks(x, l, layout.block_size); break;
  }
  std::vector<Range> ranges;
  for (const Scan& scan : scans)
    ranges.push_back(scan.min <= scan.max ? Range{scan.min, scan.max} : Range{});
  return ranges;
}

}  // namespace roundel::quant
