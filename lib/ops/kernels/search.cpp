// TopK, NonZero, Unique and NonMaxSuppression.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/types.h"

namespace roundel::engine {
namespace {

// ---- TopK

struct TopKSpec {
  int64_t axis, k, dim, step;
  bool largest;
};

Result<TopKSpec> ResolveTopK(const OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  TopKSpec spec;
  ASSIGN_OR_RETURN(spec.axis, NormalAxis(context.node().Int("axis", -1), x.rank()));
  spec.k = context.node().Int("k", 0);
  if (context.opset() >= 10) {
    ASSIGN_OR_RETURN(spec.k, IntegerScalar(context, 1));
  }
  spec.dim = x.dim(spec.axis);
  spec.step = Product(x.shape(), spec.axis + 1, x.rank());
  spec.largest = context.node().Int("largest", 1) != 0;
  if (spec.k < 0 || spec.k > spec.dim)
    return ModelError(StrCat("k = ", spec.k, " for an axis of ", spec.dim));
  return spec;
}

// Always sorted, which is permitted with sorted = 0; equal values in index order; NaN before all
// numbers if the largest are wanted.
template <typename T>
Status TopKTyped(OpContext& context, const TopKSpec& spec) {
  using W = Wide<T>;
  const Tensor& x = *context.input(0);
  Shape shape = x.shape();
  shape[spec.axis] = spec.k;
  RETURN_IF_ERROR(CheckSize(DType::kInt64, shape));
  Tensor values = Tensor::Empty(x.dtype(), shape), indices = Tensor::Empty(DType::kInt64, shape);
  const T* from = x.data<T>();
  T* best = values.mutable_data<T>();
  int64_t* places = indices.mutable_data<int64_t>();
  const int64_t lines = spec.dim == 0 ? 0 : x.size() / spec.dim;
  std::vector<int64_t> order(static_cast<size_t>(spec.dim));
  for (int64_t line = 0; line < lines; ++line) {
    const int64_t outer = line / spec.step, inner = line % spec.step;
    const T* data = from + outer * spec.dim * spec.step + inner;
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + spec.k, order.end(),
                      [&](int64_t i, int64_t j) {
                        const W a = data[i * spec.step], b = data[j * spec.step];
                        const bool nan_a = a != a, nan_b = b != b;
                        if (nan_a != nan_b) return nan_a == spec.largest;
                        if (a == b || nan_a) return i < j;
                        return spec.largest ? a > b : a < b;
                      });
    for (int64_t r = 0; r < spec.k; ++r) {
      const int64_t at = (outer * spec.k + r) * spec.step + inner;
      best[at] = data[order[r] * spec.step];
      places[at] = order[r];
    }
  }
  context.SetOutput(0, std::move(values));
  context.SetOutput(1, std::move(indices));
  return OkStatus();
}

Status TopK(OpContext& context) {
  ASSIGN_OR_RETURN(const TopKSpec spec, ResolveTopK(context));
  return VisitNumeric(context.input(0)->dtype(), [&](auto tag) {
    return TopKTyped<typename decltype(tag)::Type>(context, spec);
  });
}

// ---- NonZero: [rank, count], indices in row-major order

Status NonZero(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  return VisitNumericOrBool(x.dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    const T* data = x.data<T>();
    std::vector<int64_t> hits;
    for (int64_t i = 0; i < x.size(); ++i)
      if (static_cast<Wide<T>>(data[i]) != Wide<T>{0}) hits.push_back(i);
    // A scalar has one element but no axis: its result is [0, count].
    const auto count = static_cast<int64_t>(hits.size());
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kInt64, {x.rank(), count}));
    const std::vector<int64_t> strides = Strides(x.shape());
    int64_t* to = y->mutable_data<int64_t>();
    for (int64_t axis = 0; axis < x.rank(); ++axis)
      for (int64_t i = 0; i < count; ++i) *to++ = hits[i] / strides[axis] % x.dim(axis);
    return OkStatus();
  });
}

// ---- Unique

// Slices of x along `axis`, as [dim][outer * inner] positions.
struct Slices {
  int64_t outer, dim, inner;
  int64_t At(int64_t slice, int64_t i) const {
    return (i / inner * dim + slice) * inner + i % inner;
  }
  int64_t length() const { return outer * inner; }
};

struct Distinct {
  std::vector<int64_t> first, inverse, counts;  // first occurrence of each distinct slice, in order
};

// Distinct slices in sorted order or in order of first occurrence. `less` and `equal` compare
// slices.
template <typename Less>
Distinct FindDistinct(int64_t dim, bool sorted, const Less& less) {
  std::vector<int64_t> order(static_cast<size_t>(dim));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), less);
  std::vector<int64_t> group(static_cast<size_t>(dim));  // index among the sorted distinct slices
  Distinct result;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || less(order[i - 1], order[i])) {
      result.first.push_back(order[i]);
      result.counts.push_back(0);
    }
    ++result.counts.back();
    group[order[i]] = static_cast<int64_t>(result.first.size()) - 1;
  }
  if (!sorted) {
    std::vector<int64_t> rank(result.first.size()), place(result.first.size());
    std::iota(rank.begin(), rank.end(), 0);
    std::sort(rank.begin(), rank.end(),
              [&](int64_t a, int64_t b) { return result.first[a] < result.first[b]; });
    Distinct reordered;
    for (size_t i = 0; i < rank.size(); ++i) {
      reordered.first.push_back(result.first[rank[i]]);
      reordered.counts.push_back(result.counts[rank[i]]);
      place[rank[i]] = static_cast<int64_t>(i);
    }
    for (int64_t& g : group) g = place[g];
    result = std::move(reordered);
  }
  result.inverse = std::move(group);
  return result;
}

void SetIndices(OpContext& context, size_t output, const std::vector<int64_t>& values) {
  if (context.wants(output))
    context.SetOutput(output, Tensor::FromVector({static_cast<int64_t>(values.size())}, values));
}

Status Unique(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const bool flat = context.node().FindAttribute("axis") == nullptr;
  const Tensor x =
      flat ? context.input(0)->Reshaped({context.input(0)->size()}) : *context.input(0);
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(context.node().Int("axis", 0), x.rank()));
  const Slices slices{Product(x.shape(), 0, axis), x.dim(axis),
                      Product(x.shape(), axis + 1, x.rank())};
  return VisitNumericOrBool(x.dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    const T* data = x.data<T>();
    // NaN sorts last and equals itself, so that the order is total.
    const auto less = [&](int64_t a, int64_t b) {
      for (int64_t i = 0; i < slices.length(); ++i) {
        const Wide<T> va = data[slices.At(a, i)], vb = data[slices.At(b, i)];
        const bool nan_a = va != va, nan_b = vb != vb;
        if (nan_a != nan_b) return nan_b;
        if (va < vb) return true;
        if (vb < va) return false;
      }
      return false;
    };
    const Distinct distinct = FindDistinct(slices.dim, context.node().Int("sorted", 1) != 0, less);
    Shape shape = x.shape();
    shape[axis] = static_cast<int64_t>(distinct.first.size());
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), shape));
    const Slices target{slices.outer, shape[axis], slices.inner};
    for (int64_t s = 0; s < shape[axis]; ++s)
      for (int64_t i = 0; i < slices.length(); ++i)
        y->mutable_data<T>()[target.At(s, i)] = data[slices.At(distinct.first[s], i)];
    SetIndices(context, 1, distinct.first);
    SetIndices(context, 2, distinct.inverse);
    SetIndices(context, 3, distinct.counts);
    return OkStatus();
  });
}

// ---- NonMaxSuppression

struct Box {
  float top, left, bottom, right;
  float area() const { return (bottom - top) * (right - left); }
};

// Four numbers as [y1, x1, y2, x2] (any two opposite corners) or [x_center, y_center, width,
// height].
Box ReadBox(const float* p, bool center) {
  if (center) return {p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2};
  return {std::min(p[0], p[2]), std::min(p[1], p[3]), std::max(p[0], p[2]), std::max(p[1], p[3])};
}

float Overlap(const Box& a, const Box& b) {  // intersection over union
  const float height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  const float width = std::min(a.right, b.right) - std::max(a.left, b.left);
  if (!(height > 0) || !(width > 0)) return 0;
  const float shared = height * width;
  return shared / (a.area() + b.area() - shared);
}

// Boxes kept for one class: in descending order of scores, without those that overlap a kept box
// too much.
std::vector<int64_t> KeepBoxes(const float* boxes, const float* scores, int64_t count, bool center,
                               int64_t limit, float iou_threshold, float score_threshold) {
  std::vector<int64_t> order, kept;
  for (int64_t i = 0; i < count; ++i)
    if (scores[i] > score_threshold) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
  for (int64_t candidate : order) {
    if (static_cast<int64_t>(kept.size()) >= limit) break;
    const Box box = ReadBox(boxes + candidate * 4, center);
    const bool free = std::none_of(kept.begin(), kept.end(), [&](int64_t other) {
      return Overlap(box, ReadBox(boxes + other * 4, center)) > iou_threshold;
    });
    if (free) kept.push_back(candidate);
  }
  return kept;
}

Status NonMaxSuppression(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1}));
  const Tensor &boxes = *context.input(0), &scores = *context.input(1);
  if (boxes.rank() != 3 || scores.rank() != 3 || boxes.dim(2) != 4 ||
      boxes.dim(0) != scores.dim(0) || boxes.dim(1) != scores.dim(2))
    return ModelError(StrCat("boxes ", ShapeString(boxes.shape()), " and scores ",
                             ShapeString(scores.shape()), " do not fit"));
  int64_t limit = 0;
  float iou_threshold = 0, score_threshold = -std::numeric_limits<float>::infinity();
  if (context.input(2)) {
    ASSIGN_OR_RETURN(limit, IntegerScalar(context, 2));
  }
  if (context.input(3)) {
    ASSIGN_OR_RETURN(iou_threshold, FloatScalar(context, 3));
  }
  if (context.input(4)) {
    ASSIGN_OR_RETURN(score_threshold, FloatScalar(context, 4));
  }
  const bool center = context.node().Int("center_point_box", 0) != 0;
  const int64_t count = boxes.dim(1), classes = scores.dim(1);
  std::vector<int64_t> selected;  // triples batch, class, box
  for (int64_t b = 0; b < boxes.dim(0); ++b) {
    for (int64_t c = 0; c < classes; ++c) {
      const std::vector<int64_t> kept = KeepBoxes(
          boxes.data<float>() + b * count * 4, scores.data<float>() + (b * classes + c) * count,
          count, center, limit, iou_threshold, score_threshold);
      for (int64_t box : kept) selected.insert(selected.end(), {b, c, box});
    }
  }
  context.SetOutput(0,
                    Tensor::FromVector({static_cast<int64_t>(selected.size()) / 3, 3}, selected));
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> SearchRows() {
  return {
      {"NonMaxSuppression", "", 10, kLatest, &NonMaxSuppression},
      {"NonZero", "", 9, kLatest, &NonZero},
      {"TopK", "", 1, kLatest, &TopK},
      {"Unique", "", 11, kLatest, &Unique},
  };
}

}  // namespace roundel::engine
