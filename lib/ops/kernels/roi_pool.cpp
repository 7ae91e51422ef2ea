// MaxRoiPool: x [N, C, H, W], rois [R, 5] as batch index, x1, y1, x2, y2 -> [R, C, h, w]. Each
// element is the maximum of its bin.

#include <algorithm>
#include <cmath>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// One axis of a box in whole elements, divided into bins that may overlap.
struct Bins {
  int64_t start = 0;
  double size = 1;
  int64_t limit = 0;  // length of the axis

  int64_t Begin(int64_t bin) const { return Clamped(std::floor(static_cast<double>(bin) * size)); }
  int64_t End(int64_t bin) const { return Clamped(std::ceil(static_cast<double>(bin + 1) * size)); }

 private:
  int64_t Clamped(double at) const {
    const double whole = static_cast<double>(start) + at;
    return static_cast<int64_t>(std::clamp(whole, 0.0, static_cast<double>(limit)));
  }
};

// Limits coordinates from the data, which may be far outside the image.
int64_t WholeCoordinate(float x, float scale) {
  const double at = std::round(static_cast<double>(x * scale));
  return at == at ? static_cast<int64_t>(std::clamp(at, -1e9, 1e9)) : 0;
}

Bins BinsOf(float from, float to, float scale, int64_t count, int64_t limit) {
  const int64_t start = WholeCoordinate(from, scale);
  const int64_t length = std::max<int64_t>(WholeCoordinate(to, scale) - start + 1, 1);
  return {start, static_cast<double>(length) / static_cast<double>(count), limit};
}

void PoolRoi(const float* plane, int64_t width, const Bins& rows, const Bins& columns,
             int64_t height_out, int64_t width_out, float* to) {
  for (int64_t row = 0; row < height_out; ++row) {
    for (int64_t column = 0; column < width_out; ++column) {
      const int64_t left = columns.Begin(column), right = columns.End(column);
      float best = 0;  // of an empty bin
      bool first = true;
      for (int64_t y = rows.Begin(row); y < rows.End(row); ++y) {
        for (int64_t x = left; x < right; ++x) {
          const float value = plane[y * width + x];
          if (first || value > best) best = value;
          first = false;
        }
      }
      *to++ = best;
    }
  }
}

Status MaxRoiPool(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1}));
  const Tensor &x = *context.input(0), &rois = *context.input(1);
  const std::vector<int64_t> pooled = context.node().Ints("pooled_shape");
  const float scale = context.node().Float("spatial_scale", 1);
  if (x.rank() != 4 || rois.rank() != 2 || rois.dim(1) != 5 || pooled.size() != 2 ||
      pooled[0] < 1 || pooled[1] < 1)
    return ModelError(StrCat("x ", ShapeString(x.shape()), ", rois ", ShapeString(rois.shape()),
                             " and pooled_shape [", Join(pooled), "] do not fit"));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat,
                                         {rois.dim(0), x.dim(1), pooled[0], pooled[1]}));
  const float* boxes = rois.data<float>();
  for (int64_t r = 0; r < rois.dim(0); ++r)
    if (!(boxes[r * 5] >= 0 && boxes[r * 5] < static_cast<float>(x.dim(0))))
      return ModelError(StrCat("batch index ", boxes[r * 5], " of ", x.dim(0)));
  const int64_t channels = x.dim(1), plane = x.dim(2) * x.dim(3);
  float* to = y->mutable_data<float>();
  ParallelFor(rois.dim(0) * channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* box = boxes + i / channels * 5;
      const auto n = static_cast<int64_t>(box[0]);
      PoolRoi(x.data<float>() + (n * channels + i % channels) * plane, x.dim(3),
              BinsOf(box[2], box[4], scale, pooled[0], x.dim(2)),
              BinsOf(box[1], box[3], scale, pooled[1], x.dim(3)), pooled[0], pooled[1],
              to + i * pooled[0] * pooled[1]);
    }
  });
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> RoiPoolRows() {
  return {
      {"MaxRoiPool", "", 1, kLatest, &ViaFloat<&MaxRoiPool>},
  };
}

}  // namespace roundel::engine
