#pragma GCC optimize("O3", "no-trapping-math")
#include "lib/graph/weight_scaling.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace roundel::graph {
namespace {

// 1 for NaN and infinity.
uint32_t IsNonFinite(float value) {
  constexpr uint32_t kExponent = 0x7f800000u;
  return (std::bit_cast<uint32_t>(value) & kExponent) == kExponent ? 1 : 0;
}

uint32_t AnyNonFinite(const float* values, int64_t n) {
  uint32_t non_finite = 0;
  for (int64_t i = 0; i < n; ++i) non_finite |= IsNonFinite(values[i]);
  return non_finite;
}

void ScaleRun(const float* from, double row, const double* columns, int64_t n, float* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i] * (row * columns[i]));
}

// The largest magnitudes of `n` kernels.
void KernelMaxima(const float* values, int64_t n, int64_t kernel, float* to) {
  for (int64_t i = 0; i < n; ++i) {
    float largest = 0;
    for (int64_t k = 0; k < kernel; ++k)
      largest = std::max(largest, std::fabs(values[i * kernel + k]));
    to[i] = largest;
  }
}

// Calls f(place of the first, values, count) for runs of [begin, end), from bytes of any alignment.
template <typename F>
void ForEachRun(const std::byte* floats, int64_t begin, int64_t end, const F& f) {
  std::array<float, 1024> run;
  while (begin < end) {
    const int64_t count = std::min<int64_t>(end - begin, run.size());
    std::memcpy(run.data(), floats + begin * 4, static_cast<size_t>(count) * 4);
    f(begin, run.data(), count);
    begin += count;
  }
}

// The weight as rows of columns of kernels: rows are the channels that come first in memory.
struct Rows {
  int64_t count, columns, per_group, kernel;
  explicit Rows(const WeightedLayer& layer)
      : count(layer.out_major ? layer.out_channels() : layer.in_channels()),
        columns(layer.out_major ? layer.in_per_group : layer.out_per_group),
        per_group(layer.out_major ? layer.out_per_group : layer.in_per_group),
        kernel(layer.kernel) {}
  int64_t length() const { return columns * kernel; }
};

// `factors`, ones if there are none, each `times` times in a row.
std::vector<double> Repeated(const std::vector<double>& factors, int64_t channels, int64_t times) {
  std::vector<double> repeated(static_cast<size_t>(channels * times), 1.0);
  for (size_t i = 0; !factors.empty() && i < repeated.size(); ++i)
    repeated[i] = factors[i / static_cast<size_t>(times)];
  return repeated;
}

std::optional<Tensor> ScaledInDoubles(const Tensor& weight, const Rows& rows,
                                      const std::vector<double>& by_row,
                                      const std::vector<double>& by_column) {
  std::vector<double> values = ToDoubles(weight);
  for (int64_t r = 0; r < rows.count; ++r)
    for (int64_t j = 0; j < rows.length(); ++j)
      values[static_cast<size_t>(r * rows.length() + j)] *=
          by_row[static_cast<size_t>(r)] *
          by_column[static_cast<size_t>(r / rows.per_group * rows.length() + j)];
  Tensor scaled = FromDoubles(values, weight.dtype(), weight.shape());
  return AllFinite(scaled) ? std::optional(std::move(scaled)) : std::nullopt;
}

// One float of `tensor`, for any type and alignment.
double ValueAt(const Tensor& tensor, const std::vector<double>& others, size_t at) {
  if (tensor.dtype() != DType::kFloat) return others[at];
  float value;
  std::memcpy(&value, tensor.bytes().data() + at * sizeof value, sizeof value);
  return value;
}

}  // namespace

std::optional<Tensor> ScaledWeight(const Graph& graph, const WeightedLayer& layer,
                                   const std::vector<double>& out, const std::vector<double>& in) {
  const Tensor& weight = *graph.Constant(layer.weight());
  const Rows rows(layer);
  const int64_t column_count = layer.out_major ? layer.in_channels() : layer.out_channels();
  const std::vector<double> by_row = Repeated(layer.out_major ? out : in, rows.count, 1);
  const std::vector<double> by_column =
      Repeated(layer.out_major ? in : out, column_count, rows.kernel);
  if (weight.dtype() != DType::kFloat) return ScaledInDoubles(weight, rows, by_row, by_column);
  Tensor scaled = Tensor::Empty(DType::kFloat, weight.shape());
  const std::byte* from = weight.bytes().data();
  float* to = scaled.mutable_data<float>();
  const int64_t length = rows.length();
  uint32_t non_finite = 0;
  for (int64_t r = 0; r < rows.count; ++r) {
    const double* columns = by_column.data() + r / rows.per_group * length;
    ForEachRun(from, r * length, (r + 1) * length, [&](int64_t at, const float* run, int64_t n) {
      ScaleRun(run, by_row[static_cast<size_t>(r)], columns + (at - r * length), n, to + at);
      non_finite |= AnyNonFinite(to + at, n);
    });
  }
  return non_finite ? std::nullopt : std::optional(std::move(scaled));
}

Tensor KernelExtremes(const Graph& graph, const WeightedLayer& layer) {
  const Tensor& stored = *graph.Constant(layer.weight());
  const Tensor weight = stored.dtype() == DType::kFloat ? stored : stored.ToFloat();
  const Rows rows(layer);
  const Shape shape = {layer.groups, layer.out_per_group, layer.in_per_group};
  if (layer.out_major && layer.kernel == 1) return weight.Reshaped(shape);
  Tensor extremes = Tensor::Empty(DType::kFloat, shape);
  float* magnitudes = extremes.mutable_data<float>();
  std::vector<float> row(static_cast<size_t>(rows.length()));
  std::vector<float> maxima(static_cast<size_t>(rows.columns));
  for (int64_t r = 0; r < rows.count; ++r) {
    std::memcpy(row.data(), weight.bytes().data() + r * rows.length() * 4, row.size() * 4);
    KernelMaxima(row.data(), rows.columns, rows.kernel, maxima.data());
    // Where the input channels come first, a row becomes a column.
    const int64_t group = r / rows.per_group * rows.per_group * rows.columns,
                  at = r % rows.per_group;
    float* to = magnitudes + group + (layer.out_major ? at * rows.columns : at);
    const int64_t step = layer.out_major ? 1 : rows.per_group;
    for (int64_t c = 0; c < rows.columns; ++c) to[c * step] = maxima[static_cast<size_t>(c)];
  }
  return extremes;
}

float LargestProduct(const float* a, const float* b, int64_t n) {
  constexpr int64_t kVectorLanes = 16;  // independent maxima
  float lanes[kVectorLanes] = {};
  int64_t i = 0;
  for (; i + kVectorLanes <= n; i += kVectorLanes)
    for (int64_t j = 0; j < kVectorLanes; ++j)
      lanes[j] = std::max(lanes[j], std::fabs(a[i + j]) * b[i + j]);
  for (; i < n; ++i) lanes[0] = std::max(lanes[0], std::fabs(a[i]) * b[i]);
  return *std::max_element(lanes, lanes + kVectorLanes);
}

void MergeScaled(const float* from, float factor, int64_t n, float* largest) {
  for (int64_t i = 0; i < n; ++i) largest[i] = std::max(largest[i], std::fabs(from[i]) * factor);
}

bool MagnitudesReach(const Graph& graph, const WeightedLayer& layer, int64_t o, double bound) {
  const Tensor& weight = *graph.Constant(layer.weight());
  const std::vector<double> others =
      weight.dtype() == DType::kFloat ? std::vector<double>() : ToDoubles(weight);
  const int64_t group = o / layer.out_per_group, row = o % layer.out_per_group;
  double sum = 0;
  for (int64_t i = 0; i < layer.in_per_group; ++i)
    for (int64_t k = 0; k < layer.kernel; ++k) {
      sum += std::fabs(ValueAt(weight, others, static_cast<size_t>(layer.Index(group, row, i, k))));
      if (sum >= bound) return true;
    }
  return false;
}

bool AllFinite(const Tensor& tensor) {
  if (tensor.dtype() != DType::kFloat) return AllFinite(ToDoubles(tensor));
  uint32_t non_finite = 0;
  ForEachRun(tensor.bytes().data(), 0, tensor.size(),
             [&](int64_t, const float* run, int64_t n) { non_finite |= AnyNonFinite(run, n); });
  return non_finite == 0;
}

}  // namespace roundel::graph
