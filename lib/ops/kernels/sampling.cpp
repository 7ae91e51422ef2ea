// GridSample, AffineGrid and RoiAlign: sampling of images at positions that depend on data.

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/spatial.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// ---- GridSample: x [N, C, d1, ..., dk], grid [N, o1, ..., ok, k] in [-1, 1], last coordinate
// first

struct SampleSettings {
  std::string mode, padding;
  bool align_corners;
};

// Grid coordinate in [-1, 1] -> position in elements.
double Denormalized(double x, int64_t length, bool align_corners) {
  const auto n = static_cast<double>(length);
  return align_corners ? (x + 1) / 2 * (n - 1) : ((x + 1) * n - 1) / 2;
}

// Reflects x at `low` and `high` until it is between them.
double Reflected(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  double distance = std::fabs(x - low);
  distance = std::fmod(distance, 2 * range);
  return low + (distance > range ? 2 * range - distance : distance);
}

// Index of an integer position by the padding mode; -1: zero.
int64_t PaddedIndex(double position, int64_t length, const SampleSettings& settings) {
  const auto last = static_cast<double>(length - 1);
  if (position >= 0 && position <= last) return static_cast<int64_t>(position);
  if (settings.padding == "zeros") return -1;
  if (settings.padding == "reflection") {
    const double edge = settings.align_corners ? 0 : -0.5;
    position = Reflected(position, edge, last - edge);
  }
  return static_cast<int64_t>(std::clamp(std::nearbyint(position), 0.0, last));
}

// Weighted neighbors of a position along one axis.
struct Neighbors {
  int64_t index[4];
  double weight[4];
  int count;
};

double Cubic(double d) {  // Keys' kernel with a = -0.75
  constexpr double a = -0.75;
  d = std::fabs(d);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

Neighbors NeighborsOf(double x, int64_t length, const SampleSettings& settings) {
  // Positions far outside, and NaN, are treated like those just outside: arithmetic stays finite.
  const double far = 4.0 * static_cast<double>(length) + 16;
  if (settings.padding == "reflection" && std::isfinite(x)) {
    const double edge = settings.align_corners ? 0 : -0.5;
    x = Reflected(x, edge, static_cast<double>(length - 1) - edge);
  }
  x = x == x ? std::clamp(x, -far, far) : -far;
  const bool cubic = settings.mode == "cubic";
  // For a point outside, a cubic window may still contain pixels (PyTorch, ONNX Runtime).
  if (settings.padding == "border" && !cubic)
    x = std::clamp(x, 0.0, static_cast<double>(length - 1));
  if (settings.mode == "nearest")
    return {{PaddedIndex(std::nearbyint(x), length, settings)}, {1}, 1};
  const double floor = std::floor(x);
  Neighbors result{{}, {}, cubic ? 4 : 2};
  for (int k = 0; k < result.count; ++k) {
    const double position = floor + k - (cubic ? 1 : 0);
    result.index[k] = PaddedIndex(position, length, settings);
    result.weight[k] = cubic ? Cubic(x - position) : 1 - std::fabs(x - position);
  }
  return result;
}

Result<SampleSettings> ReadSampleSettings(const graph::Node& node) {
  SampleSettings s{node.String("mode", "linear"), node.String("padding_mode", "zeros"),
                   node.Int("align_corners", 0) != 0};
  if (s.mode == "bilinear") s.mode = "linear";  // names in opset 16
  if (s.mode == "bicubic") s.mode = "cubic";
  if ((s.mode != "linear" && s.mode != "nearest" && s.mode != "cubic") ||
      (s.padding != "zeros" && s.padding != "border" && s.padding != "reflection"))
    return ModelError(
        StrCat("GridSample has no mode '", s.mode, "' with padding '", s.padding, "'"));
  return s;
}

// Value of one plane at the point that `around` describes per axis.
float Interpolate(const float* plane, const Shape& dims, const std::vector<Neighbors>& around) {
  Shape counts;
  for (const Neighbors& n : around) counts.push_back(n.count);
  double sum = 0;
  for (Odometer at(counts); !at.done(); at.Next()) {
    double weight = 1;
    int64_t flat = 0;
    for (size_t axis = 0; axis < dims.size(); ++axis) {
      const int64_t index = around[axis].index[at[axis]];
      if (index < 0) weight = 0;
      weight *= around[axis].weight[at[axis]];
      flat = flat * dims[axis] + std::max<int64_t>(index, 0);
    }
    if (weight != 0) sum += weight * plane[flat];
  }
  return static_cast<float>(sum);
}

Status GridSample(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1}));
  const Tensor &x = *context.input(0), &grid = *context.input(1);
  ASSIGN_OR_RETURN(const SampleSettings settings, ReadSampleSettings(context.node()));
  ASSIGN_OR_RETURN(const Shape dims, SpatialShape(x));
  const auto axes = static_cast<int64_t>(dims.size());
  if (grid.rank() != x.rank() || grid.dim(0) != x.dim(0) || grid.dim(-1) != axes ||
      NumElements(dims) == 0)
    return ModelError(
        StrCat("grid ", ShapeString(grid.shape()), " does not fit x ", ShapeString(x.shape())));
  Shape shape = {x.dim(0), x.dim(1)};
  shape.insert(shape.end(), grid.shape().begin() + 1, grid.shape().end() - 1);
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, shape));
  const int64_t points = Product(grid.shape(), 1, axes + 1), plane = NumElements(dims);
  const int64_t channels = x.dim(1);
  const float *from = x.data<float>(), *places = grid.data<float>();
  float* to = y->mutable_data<float>();
  ParallelFor(x.dim(0) * points, 64, [&](int64_t begin, int64_t end) {
    std::vector<Neighbors> around(dims.size());
    for (int64_t p = begin; p < end; ++p) {
      for (int64_t axis = 0; axis < axes; ++axis)
        around[axis] = NeighborsOf(
            Denormalized(places[p * axes + axes - 1 - axis], dims[axis], settings.align_corners),
            dims[axis], settings);
      const int64_t n = p / points, point = p % points;
      for (int64_t c = 0; c < channels; ++c)
        to[(n * channels + c) * points + point] =
            Interpolate(from + (n * channels + c) * plane, dims, around);
    }
  });
  return OkStatus();
}

// ---- AffineGrid: theta [N, k, k + 1], size [N, C, d1, ..., dk] -> grid [N, d1, ..., dk, k]

Status AffineGrid(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& theta = *context.input(0);
  ASSIGN_OR_RETURN(const Shape size, IntegerInput(context, 1));
  const auto axes = static_cast<int64_t>(size.size()) - 2;
  if (axes < 2 || axes > 3 || theta.shape() != Shape{size[0], axes, axes + 1})
    return ModelError(
        StrCat("theta ", ShapeString(theta.shape()), " does not fit size ", ShapeString(size)));
  const bool align = context.node().Int("align_corners", 0) != 0;
  Shape shape = {size[0]};
  shape.insert(shape.end(), size.begin() + 2, size.end());
  const Shape places = shape;
  shape.push_back(axes);
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, shape));
  float* to = y->mutable_data<float>();
  for (Odometer at(places); !at.done(); at.Next()) {
    double base[4] = {0, 0, 0, 1};
    for (int64_t k = 0; k < axes; ++k) {  // coordinate k belongs to axis axes - 1 - k
      const auto n = static_cast<double>(places[axes - k]), i = static_cast<double>(at[axes - k]);
      base[k] = align ? (n > 1 ? 2 * i / (n - 1) - 1 : 0) : (2 * i + 1) / n - 1;
    }
    base[axes] = 1;
    const float* matrix = theta.data<float>() + at[0] * axes * (axes + 1);
    for (int64_t row = 0; row < axes; ++row) {
      double sum = 0;
      for (int64_t k = 0; k <= axes; ++k) sum += matrix[row * (axes + 1) + k] * base[k];
      *to++ = static_cast<float>(sum);
    }
  }
  return OkStatus();
}

// ---- RoiAlign: x [N, C, H, W], rois [R, 4] as x1 y1 x2 y2, batch indices [R] -> [R, C, h, w]

struct RoiSpec {
  int64_t height, width, ratio;
  double scale, shift;
  bool average;
};

// Bilinear value at (y, x); 0 if more than one element outside.
double Bilinear(const float* plane, int64_t height, int64_t width, double y, double x) {
  if (!(y >= -1 && y <= static_cast<double>(height)) ||
      !(x >= -1 && x <= static_cast<double>(width)))
    return 0;
  y = std::clamp(y, 0.0, static_cast<double>(height - 1));
  x = std::clamp(x, 0.0, static_cast<double>(width - 1));
  const auto top = static_cast<int64_t>(y), left = static_cast<int64_t>(x);
  const int64_t bottom = std::min(top + 1, height - 1), right = std::min(left + 1, width - 1);
  const double dy = y - static_cast<double>(top), dx = x - static_cast<double>(left);
  return (1 - dy) * ((1 - dx) * plane[top * width + left] + dx * plane[top * width + right]) +
         dy * ((1 - dx) * plane[bottom * width + left] + dx * plane[bottom * width + right]);
}

// The maximum of the four weighted corners: the sample in mode "max".
double LargestCorner(const float* plane, int64_t height, int64_t width, double y, double x) {
  if (!(y >= -1 && y <= static_cast<double>(height)) ||
      !(x >= -1 && x <= static_cast<double>(width)))
    return 0;
  y = std::clamp(y, 0.0, static_cast<double>(height - 1));
  x = std::clamp(x, 0.0, static_cast<double>(width - 1));
  const auto top = static_cast<int64_t>(y), left = static_cast<int64_t>(x);
  const int64_t bottom = std::min(top + 1, height - 1), right = std::min(left + 1, width - 1);
  const double dy = y - static_cast<double>(top), dx = x - static_cast<double>(left);
  return std::max(std::max((1 - dy) * (1 - dx) * plane[top * width + left],
                           (1 - dy) * dx * plane[top * width + right]),
                  std::max(dy * (1 - dx) * plane[bottom * width + left],
                           dy * dx * plane[bottom * width + right]));
}

// Samples of one bin along one axis: those at `first` + k * `step` for k in [begin, end). The other
// ones of all `count` are outside the image and are 0. Few are inside even if the box is huge.
struct BinSamples {
  double first = 0, step = 0, count = 0;
  int64_t begin = 0, end = 0;
  bool all_inside() const { return static_cast<double>(end - begin) == count; }
};

BinSamples SamplesOf(double start, double bin, int64_t ratio, int64_t length) {
  BinSamples samples;
  samples.count = ratio > 0 ? static_cast<double>(ratio) : std::ceil(bin);
  if (!(samples.count >= 1 && samples.count < 0x1p52)) {
    samples.count = 0;
    return samples;
  }
  samples.step = bin / samples.count;
  samples.first = start + 0.5 * samples.step;
  const auto index = [&](double position) {  // the sample nearest to a position
    const double k = (position - samples.first) / samples.step;
    return static_cast<int64_t>(std::clamp(k == k ? k : 0, 0.0, samples.count));
  };
  const int64_t low = index(-1), high = index(static_cast<double>(length));
  samples.begin = std::max<int64_t>(0, std::min(low, high) - 1);
  samples.end = std::min(static_cast<int64_t>(samples.count), std::max(low, high) + 2);
  return samples;
}

void AlignOneRoi(const RoiSpec& spec, const float* plane, int64_t height, int64_t width,
                 const float* roi, float* to) {
  const double x1 = roi[0] * spec.scale - spec.shift, y1 = roi[1] * spec.scale - spec.shift;
  double roi_width = roi[2] * spec.scale - spec.shift - x1;
  double roi_height = roi[3] * spec.scale - spec.shift - y1;
  // without half-pixel alignment, malformed boxes have a size of one element
  if (spec.shift == 0) {
    roi_width = std::max(roi_width, 1.0);
    roi_height = std::max(roi_height, 1.0);
  }
  const double bin_h = roi_height / static_cast<double>(spec.height);
  const double bin_w = roi_width / static_cast<double>(spec.width);
  for (int64_t ph = 0; ph < spec.height; ++ph) {
    const BinSamples rows =
        SamplesOf(y1 + static_cast<double>(ph) * bin_h, bin_h, spec.ratio, height);
    for (int64_t pw = 0; pw < spec.width; ++pw) {
      const BinSamples columns =
          SamplesOf(x1 + static_cast<double>(pw) * bin_w, bin_w, spec.ratio, width);
      const double count = rows.count * columns.count;
      double sum = 0, best = -std::numeric_limits<double>::infinity();
      if (count == 0 || !rows.all_inside() || !columns.all_inside()) best = 0;
      for (int64_t i = rows.begin; i < rows.end; ++i) {
        const double y = rows.first + static_cast<double>(i) * rows.step;
        for (int64_t j = columns.begin; j < columns.end; ++j) {
          const double x = columns.first + static_cast<double>(j) * columns.step;
          if (spec.average)
            sum += Bilinear(plane, height, width, y, x);
          else
            best = std::max(best, LargestCorner(plane, height, width, y, x));
        }
      }
      *to++ = static_cast<float>(spec.average ? sum / std::max(1.0, count) : best);
    }
  }
}

Status RoiAlign(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1}));
  const Tensor &x = *context.input(0), &rois = *context.input(1);
  ASSIGN_OR_RETURN(const std::vector<int64_t> batch, IntegerInput(context, 2));
  const graph::Node& node = context.node();
  // Before opset 16 boxes are not shifted by half a pixel.
  const bool half = context.opset() >= 16 &&
                    node.String("coordinate_transformation_mode", "half_pixel") == "half_pixel";
  const RoiSpec spec{node.Int("output_height", 1),
                     node.Int("output_width", 1),
                     node.Int("sampling_ratio", 0),
                     node.Float("spatial_scale", 1),
                     half ? 0.5 : 0.0,
                     node.String("mode", "avg") == "avg"};
  if (x.rank() != 4 || rois.rank() != 2 || rois.dim(1) != 4 ||
      static_cast<int64_t>(batch.size()) != rois.dim(0) || x.dim(2) < 1 || x.dim(3) < 1)
    return ModelError(StrCat("x ", ShapeString(x.shape()), ", rois ", ShapeString(rois.shape()),
                             " and ", batch.size(), " batch indices do not fit"));
  if (spec.ratio > 1 << 10)
    return ModelError(StrCat("sampling_ratio ", spec.ratio, " is too large"));
  for (int64_t n : batch)
    if (n < 0 || n >= x.dim(0)) return ModelError(StrCat("batch index ", n, " of ", x.dim(0)));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat,
                                         {rois.dim(0), x.dim(1), spec.height, spec.width}));
  const int64_t channels = x.dim(1), plane = x.dim(2) * x.dim(3);
  const float *from = x.data<float>(), *boxes = rois.data<float>();
  float* to = y->mutable_data<float>();
  ParallelFor(rois.dim(0) * channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      AlignOneRoi(spec, from + (batch[i / channels] * channels + i % channels) * plane, x.dim(2),
                  x.dim(3), boxes + i / channels * 4, to + i * spec.height * spec.width);
  });
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> SamplingRows() {
  return {
      {"AffineGrid", "", 20, kLatest, &ViaFloat<&AffineGrid>},
      {"GridSample", "", 16, kLatest, &ViaFloat<&GridSample>},
      {"RoiAlign", "", 10, kLatest, &ViaFloat<&RoiAlign>},
  };
}

}  // namespace roundel::engine
