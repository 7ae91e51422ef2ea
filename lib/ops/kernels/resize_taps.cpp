#include "lib/ops/kernels/resize_taps.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lib/ops/kernels/types.h"

namespace roundel::engine::resize {
namespace {

// ---- coordinates

// The input coordinate of output position `o`, in units of input elements.
double SourceCoordinate(const Settings& settings, const AxisSpec& axis, int64_t o) {
  const auto x = static_cast<double>(o);
  const auto from = static_cast<double>(axis.from), to = static_cast<double>(axis.to);
  const std::string& mode = settings.coordinates;
  if (mode == "asymmetric") return x / axis.scale;
  if (mode == "align_corners") return axis.to == 1 ? 0 : x * (from - 1) / (to - 1);
  if (mode == "tf_half_pixel_for_nn") return (x + 0.5) / axis.scale;
  if (mode == "pytorch_half_pixel") return axis.to > 1 ? (x + 0.5) / axis.scale - 0.5 : 0;
  if (mode == "tf_crop_and_resize") {
    const double start = axis.roi_start, end = axis.roi_end;
    if (axis.to == 1) return 0.5 * (start + end) * (from - 1);
    return start * (from - 1) + x * (end - start) * (from - 1) / (to - 1);
  }
  double offset = 0;
  if (mode == "half_pixel_symmetric") {
    const double adjustment = to / (axis.scale * from);
    offset = from / 2 * (1 - adjustment);
  }
  return offset + (x + 0.5) / axis.scale - 0.5;  // half_pixel
}

bool KnownCoordinates(const std::string& mode) {
  for (const char* name :
       {"asymmetric", "align_corners", "tf_half_pixel_for_nn", "pytorch_half_pixel",
        "tf_crop_and_resize", "half_pixel", "half_pixel_symmetric"})
    if (mode == name) return true;
  return false;
}

double RoundNearest(const std::string& how, double x) {
  if (how == "floor") return std::floor(x);
  if (how == "ceil") return std::ceil(x);
  if (how == "round_prefer_ceil") return std::floor(x + 0.5);
  return std::ceil(x - 0.5);  // round_prefer_floor
}

// ---- weights

// Keys' cubic convolution kernel at distance `d`.
double CubicWeight(double d, double a) {
  d = std::fabs(d);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return 0;
}
double LinearWeight(double d) { return std::max(0.0, 1 - std::fabs(d)); }

// Weighted neighbors of coordinate `x`. Antialiasing widens the kernel by 1 / scale for
// downsampling.
Taps InterpolationTaps(const Settings& settings, const AxisSpec& axis, double x) {
  const double stretch = settings.antialias ? std::min(axis.scale, 1.0) : 1.0;
  const double radius = (settings.mode == "cubic" ? 2 : 1) / stretch;
  const auto first = static_cast<int64_t>(std::floor(x - radius)) + 1;
  const auto last = static_cast<int64_t>(std::ceil(x + radius)) - 1;
  Taps taps;
  double total = 0;
  std::vector<double> weights;
  for (int64_t p = first; p <= last; ++p) {
    const double distance = (static_cast<double>(p) - x) * stretch;
    const bool inside = p >= 0 && p < axis.from;
    double weight =
        settings.mode == "cubic" ? CubicWeight(distance, settings.cubic_a) : LinearWeight(distance);
    if (settings.exclude_outside && !inside) weight = 0;
    weights.push_back(weight);
    taps.positions.push_back(std::clamp<int64_t>(p, 0, axis.from - 1));
    total += weight;
  }
  for (double weight : weights)
    taps.weights.push_back(static_cast<float>(total != 0 ? weight / total : weight));
  return taps;
}

// Before opset 11: the position below if the axis grows, the one above if it shrinks.
std::string NearestMode(const Settings& settings, const AxisSpec& axis) {
  if (settings.nearest != "by_direction") return settings.nearest;
  return axis.scale < 1 ? "ceil" : "floor";
}

Taps TapsAt(const Settings& settings, const AxisSpec& axis, int64_t o) {
  // Scales from the model may give huge coordinates: limits them to where int64 arithmetic is safe.
  const double limit = static_cast<double>(axis.from) * 4 + 4;
  double x = SourceCoordinate(settings, axis, o);
  x = x == x ? std::clamp(x, -limit, limit) : 0;
  Taps taps;
  if (settings.mode == "nearest") {
    const auto p = static_cast<int64_t>(RoundNearest(NearestMode(settings, axis), x));
    taps = {{std::clamp<int64_t>(p, 0, axis.from - 1)}, {1.0f}, false};
  } else {
    taps = InterpolationTaps(settings, axis, x);
  }
  taps.outside = settings.coordinates == "tf_crop_and_resize" &&
                 (x < 0 || x > static_cast<double>(axis.from - 1));
  return taps;
}

// ---- reading the node

// Axes longer than those of any image would need too much memory for their taps.
constexpr int64_t kMaxAxis = int64_t{1} << 22;

// Sizes from scales: floor(from * scale). The product is in float32 as in ONNX Runtime (10 * 0.7 is
// 7 there, but 6 in double).
Result<int64_t> ScaledSize(int64_t from, float scale) {
  const float size = std::floor(static_cast<float>(from) * scale);
  if (!(scale > 0) || !(size <= static_cast<float>(kMaxAxis)))
    return ModelError(StrCat("scale ", scale, " of an axis of ", from));
  return static_cast<int64_t>(size);
}

// The optional float input `i` as a list; empty if absent.
Result<std::vector<float>> FloatList(const OpContext& context, size_t i) {
  const Tensor* tensor = context.input(i);
  if (tensor == nullptr || tensor->size() == 0) return std::vector<float>();
  if (!IsFloating(tensor->dtype())) return UnsupportedType(tensor->dtype());
  const Tensor values = tensor->ToFloat();
  const auto span = values.span<float>();
  return std::vector<float>(span.begin(), span.end());
}

// keep_aspect_ratio_policy: one scale for all resized axes.
void KeepAspectRatio(const std::string& policy, const std::vector<int64_t>& axes,
                     std::vector<AxisSpec>& specs) {
  if (axes.empty() || (policy != "not_larger" && policy != "not_smaller")) return;
  double scale = specs[axes[0]].scale;
  for (int64_t axis : axes)
    scale = policy == "not_larger" ? std::min(scale, specs[axis].scale)
                                   : std::max(scale, specs[axis].scale);
  for (int64_t axis : axes) {
    specs[axis].scale = scale;
    specs[axis].to =
        static_cast<int64_t>(std::floor(scale * static_cast<double>(specs[axis].from) + 0.5));
  }
}

struct ResizeInputs {
  std::vector<float> roi, scales;
  std::vector<int64_t> sizes, axes;
};

Result<ResizeInputs> ReadInputs(const OpContext& context, int64_t rank) {
  ResizeInputs in;
  if (context.opset() < 9) {  // Upsample 7
    in.scales = context.node().Floats("scales");
  } else if (context.opset() < 11) {
    ASSIGN_OR_RETURN(in.scales, FloatList(context, 1));
  } else {
    ASSIGN_OR_RETURN(in.roi, FloatList(context, 1));
    ASSIGN_OR_RETURN(in.scales, FloatList(context, 2));
    if (context.input(3)) {
      ASSIGN_OR_RETURN(in.sizes, IntegerInput(context, 3));
    }
  }
  std::vector<int64_t> all(static_cast<size_t>(rank));
  std::iota(all.begin(), all.end(), 0);
  ASSIGN_OR_RETURN(in.axes, NormalAxes(context.node().Ints("axes", all), rank));
  const size_t count = in.axes.size();
  if (in.scales.empty() == in.sizes.empty() ||
      (in.scales.empty() ? in.sizes.size() : in.scales.size()) != count)
    return ModelError(StrCat("Resize with ", in.scales.size(), " scales and ", in.sizes.size(),
                             " sizes for ", count, " axes"));
  return in;
}

}  // namespace

bool IsIdentity(const std::vector<Taps>& taps, int64_t from) {
  if (static_cast<int64_t>(taps.size()) != from) return false;
  for (size_t i = 0; i < taps.size(); ++i) {
    if (taps[i].outside) return false;
    for (size_t k = 0; k < taps[i].positions.size(); ++k) {
      const float wanted = taps[i].positions[k] == static_cast<int64_t>(i) ? 1.0f : 0.0f;
      if (taps[i].weights[k] != wanted) return false;
    }
  }
  return true;
}

std::vector<Taps> TapsOf(const Settings& settings, const AxisSpec& axis) {
  std::vector<Taps> taps;
  for (int64_t o = 0; o < axis.to; ++o) taps.push_back(TapsAt(settings, axis, o));
  return taps;
}

Result<std::vector<AxisSpec>> ResolveAxes(const OpContext& context, const Settings& settings) {
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const ResizeInputs in, ReadInputs(context, x.rank()));
  std::vector<AxisSpec> specs;
  for (int64_t dim : x.shape()) specs.push_back({dim, dim});
  for (size_t k = 0; k < in.axes.size(); ++k) {
    AxisSpec& spec = specs[in.axes[k]];
    if (in.sizes.empty()) {
      spec.scale = in.scales[k];
      ASSIGN_OR_RETURN(spec.to, ScaledSize(spec.from, in.scales[k]));
    } else {
      spec.to = in.sizes[k];
      spec.scale =
          static_cast<double>(spec.to) / static_cast<double>(std::max<int64_t>(1, spec.from));
    }
    if (settings.coordinates != "tf_crop_and_resize") continue;
    if (in.roi.size() != 2 * in.axes.size())
      return ModelError(StrCat("roi of ", in.roi.size(), " values for ", in.axes.size(), " axes"));
    spec.roi_start = in.roi[k];
    spec.roi_end = in.roi[in.axes.size() + k];
  }
  if (!in.sizes.empty())
    KeepAspectRatio(context.node().String("keep_aspect_ratio_policy", "stretch"), in.axes, specs);
  for (const AxisSpec& spec : specs)
    if (spec.to < 0 || spec.to > std::max(kMaxAxis, spec.from) || (spec.from == 0 && spec.to > 0))
      return ModelError(StrCat("cannot resize an axis of ", spec.from, " to ", spec.to, " in ",
                               ShapeString(x.shape())));
  return specs;
}

Result<Settings> ReadSettings(const OpContext& context) {
  const graph::Node& node = context.node();
  Settings s;
  s.mode = node.String("mode", "nearest");
  if (s.mode == "bilinear") s.mode = "linear";  // Upsample 1
  // Before opset 11 the coordinate mode is the one now called asymmetric.
  const bool old = context.opset() < 11;
  s.coordinates = old ? "asymmetric" : node.String("coordinate_transformation_mode", "half_pixel");
  s.nearest = old ? "by_direction" : node.String("nearest_mode", "round_prefer_floor");
  s.cubic_a = node.Float("cubic_coeff_a", -0.75f);
  s.extrapolation = node.Float("extrapolation_value", 0);
  s.exclude_outside = node.Int("exclude_outside", 0) != 0;
  s.antialias = node.Int("antialias", 0) != 0;
  if (s.mode != "nearest" && s.mode != "linear" && s.mode != "cubic")
    return ModelError(StrCat("Resize has no mode '", s.mode, "'"));
  if (!KnownCoordinates(s.coordinates))
    return ModelError(StrCat("Resize has no coordinate_transformation_mode '", s.coordinates, "'"));
  return s;
}

}  // namespace roundel::engine::resize
