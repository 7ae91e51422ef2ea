// DFT, STFT and MelWeightMatrix. Complex numbers are pairs on the last axis.

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/small_types.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

using Complex = std::complex<double>;

// sum_n x[n] exp(-+ 2 pi i k n / length) for k < bins, by the definition in O(length * bins).
std::vector<Complex> Transform(const std::vector<Complex>& x, int64_t bins, bool inverse) {
  const auto length = static_cast<int64_t>(x.size());
  const double unit = (inverse ? 2 : -2) * std::numbers::pi / static_cast<double>(length);
  std::vector<Complex> roots;
  for (int64_t n = 0; n < length; ++n)
    roots.push_back(std::polar(1.0, unit * static_cast<double>(n)));
  std::vector<Complex> result(static_cast<size_t>(bins));
  for (int64_t k = 0; k < bins; ++k) {
    Complex sum = 0;
    for (int64_t n = 0; n < length; ++n) sum += x[n] * roots[k * n % length];
    result[k] = inverse ? sum / static_cast<double>(length) : sum;
  }
  return result;
}

// The definition has quadratic cost: longer transforms would take too long.
constexpr int64_t kMaxLength = 1 << 16;

struct DftSpec {
  int64_t axis, length, bins;
  bool inverse, one_sided;
};

// The axis is an attribute at opset 17 (default 1), an input since opset 20 (default -2).
Result<DftSpec> ResolveDft(const OpContext& context) {
  RETURN_IF_ERROR(RequireRank(context, 0, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  if (x.dim(-1) != 1 && x.dim(-1) != 2)
    return ModelError(StrCat("input of shape ", ShapeString(x.shape()),
                             ": the last axis must hold 1 (real) or 2 (complex) numbers"));
  DftSpec spec;
  int64_t axis = context.opset() >= 20 ? -2 : context.node().Int("axis", 1);
  if (context.opset() >= 20 && context.input(2)) {
    ASSIGN_OR_RETURN(axis, IntegerScalar(context, 2));
  }
  ASSIGN_OR_RETURN(spec.axis, NormalAxis(axis, x.rank()));
  if (spec.axis == x.rank() - 1) return ModelError("DFT along the axis of complex parts");
  spec.inverse = context.node().Int("inverse", 0) != 0;
  spec.one_sided = context.node().Int("onesided", 0) != 0;
  spec.length = x.dim(spec.axis);
  if (context.input(1)) {
    ASSIGN_OR_RETURN(spec.length, IntegerScalar(context, 1));
  }
  if (spec.length < 1 || spec.length > kMaxLength)
    return ModelError(StrCat("DFT of length ", spec.length, " (1 to ", kMaxLength, ")"));
  spec.bins = spec.one_sided ? spec.length / 2 + 1 : spec.length;
  return spec;
}

Status Dft(OpContext& context) {
  ASSIGN_OR_RETURN(const DftSpec spec, ResolveDft(context));
  const Tensor& x = *context.input(0);
  if (spec.inverse && spec.one_sided) return ModelError("one-sided inverse DFT is not supported");
  Shape shape = x.shape();
  shape[spec.axis] = spec.bins;
  shape.back() = 2;
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, shape));
  const int64_t parts = x.dim(-1), dim = x.dim(spec.axis);
  // counted in complex numbers
  const int64_t step = Product(x.shape(), spec.axis + 1, x.rank() - 1);
  const int64_t lines = Product(x.shape(), 0, spec.axis) * step;
  const float* from = x.data<float>();
  float* to = y->mutable_data<float>();
  for (int64_t line = 0; line < lines; ++line) {
    std::vector<Complex> signal(static_cast<size_t>(spec.length));
    for (int64_t n = 0; n < std::min(dim, spec.length); ++n) {
      const float* p = from + ((line / step * dim + n) * step + line % step) * parts;
      signal[n] = {p[0], parts == 2 ? p[1] : 0.0f};
    }
    const std::vector<Complex> bins = Transform(signal, spec.bins, spec.inverse);
    for (int64_t k = 0; k < spec.bins; ++k) {
      float* p = to + ((line / step * spec.bins + k) * step + line % step) * 2;
      p[0] = static_cast<float>(bins[k].real());
      p[1] = static_cast<float>(bins[k].imag());
    }
  }
  return OkStatus();
}

// ---- STFT: signal [N, length, 1 or 2] -> [N, frames, bins, 2]

struct StftSpec {
  int64_t frame_step, frame_length, frames, bins;
  std::vector<double> window;
};

Result<StftSpec> ResolveStft(const OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 2}));
  const Tensor& signal = *context.input(0);
  const Tensor* window = context.input(2);
  if (signal.rank() != 3 || (signal.dim(2) != 1 && signal.dim(2) != 2))
    return ModelError(StrCat("signal of shape ", ShapeString(signal.shape())));
  StftSpec spec;
  ASSIGN_OR_RETURN(spec.frame_step, IntegerScalar(context, 1));
  spec.frame_length = window ? window->size() : 0;
  if (context.input(3)) {
    ASSIGN_OR_RETURN(spec.frame_length, IntegerScalar(context, 3));
  }
  if (spec.frame_step < 1 || spec.frame_length < 1 || spec.frame_length > kMaxLength ||
      spec.frame_length > signal.dim(1) || (window && window->size() != spec.frame_length))
    return ModelError(StrCat("frames of ", spec.frame_length, " every ", spec.frame_step,
                             " over a signal of ", signal.dim(1)));
  spec.frames = (signal.dim(1) - spec.frame_length) / spec.frame_step + 1;
  const bool one_sided = context.node().Int("onesided", 1) != 0;
  spec.bins = one_sided ? spec.frame_length / 2 + 1 : spec.frame_length;
  spec.window.assign(static_cast<size_t>(spec.frame_length), 1.0);
  for (int64_t i = 0; window && i < spec.frame_length; ++i)
    spec.window[i] = window->data<float>()[i];
  return spec;
}

Status Stft(OpContext& context) {
  ASSIGN_OR_RETURN(const StftSpec spec, ResolveStft(context));
  const Tensor& signal = *context.input(0);
  const int64_t parts = signal.dim(2);
  ASSIGN_OR_RETURN(
      Tensor * y, NewOutput(context, 0, DType::kFloat, {signal.dim(0), spec.frames, spec.bins, 2}));
  const float* from = signal.data<float>();
  float* to = y->mutable_data<float>();
  ParallelFor(signal.dim(0) * spec.frames, 1, [&](int64_t begin, int64_t end) {
    for (int64_t f = begin; f < end; ++f) {
      const int64_t n = f / spec.frames, start = f % spec.frames * spec.frame_step;
      std::vector<Complex> frame;
      for (int64_t i = 0; i < spec.frame_length; ++i) {
        const float* p = from + (n * signal.dim(1) + start + i) * parts;
        frame.push_back(spec.window[i] * Complex(p[0], parts == 2 ? p[1] : 0.0f));
      }
      const std::vector<Complex> bins = Transform(frame, spec.bins, false);
      for (int64_t k = 0; k < spec.bins; ++k) {
        to[(f * spec.bins + k) * 2] = static_cast<float>(bins[k].real());
        to[(f * spec.bins + k) * 2 + 1] = static_cast<float>(bins[k].imag());
      }
    }
  });
  return OkStatus();
}

// ---- MelWeightMatrix [bins of the spectrum, mel bins]: triangles between neighboring mel points

double HertzToMel(double hertz) { return 2595 * std::log10(1 + hertz / 700); }
double MelToHertz(double mel) { return 700 * (std::pow(10, mel / 2595) - 1); }

Status MelWeightMatrix(OpContext& context) {
  ASSIGN_OR_RETURN(const int64_t mel_bins, IntegerScalar(context, 0));
  ASSIGN_OR_RETURN(const int64_t dft_length, IntegerScalar(context, 1));
  ASSIGN_OR_RETURN(const int64_t sample_rate, IntegerScalar(context, 2));
  ASSIGN_OR_RETURN(const float low_hertz, FloatScalar(context, 3));
  ASSIGN_OR_RETURN(const float high_hertz, FloatScalar(context, 4));
  if (mel_bins < 1 || mel_bins > 1 << 20 || dft_length < 1 || dft_length > 1 << 20 ||
      sample_rate < 1 || !(low_hertz >= 0) || !(high_hertz > low_hertz) || !(high_hertz < 1e9f))
    return ModelError(StrCat("MelWeightMatrix of ", mel_bins, " bins from ", low_hertz, " to ",
                             high_hertz, " Hz over a DFT of ", dft_length));
  const int64_t spectrum = dft_length / 2 + 1;
  RETURN_IF_ERROR(CheckSize(DType::kFloat, {spectrum, mel_bins}));
  Tensor weights = Tensor::Zeros(DType::kFloat, {spectrum, mel_bins});
  const double low = HertzToMel(low_hertz);
  const double mel_step = (HertzToMel(high_hertz) - low) / static_cast<double>(mel_bins + 2);
  const auto bin = [&](int64_t i) {
    const double hertz = MelToHertz(low + static_cast<double>(i) * mel_step);
    return static_cast<int64_t>(
        std::floor(static_cast<double>(dft_length + 1) * hertz / static_cast<double>(sample_rate)));
  };
  float* to = weights.mutable_data<float>();
  const auto set = [&](int64_t row, int64_t column, double value) {
    if (row >= 0 && row < spectrum) to[row * mel_bins + column] = static_cast<float>(value);
  };
  for (int64_t m = 0; m < mel_bins; ++m) {
    const int64_t left = bin(m), center = bin(m + 1), right = bin(m + 2);
    set(center, m, 1);
    for (int64_t k = left; k < std::min(center, spectrum); ++k)
      set(k, m, static_cast<double>(k - left) / static_cast<double>(center - left));
    for (int64_t k = center; k < std::min(right, spectrum); ++k)
      set(k, m, static_cast<double>(right - k) / static_cast<double>(right - center));
  }
  const int64_t wanted = context.node().Int("output_datatype", 1);
  const DType type = wanted > 0 && wanted < 64 ? static_cast<DType>(wanted) : DType::kUndefined;
  ASSIGN_OR_RETURN(Tensor result, CastTensor(weights, type, {}));
  context.SetOutput(0, std::move(result));
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> SignalRows() {
  return {
      {"DFT", "", 17, kLatest, &ViaFloat<&Dft>},
      {"MelWeightMatrix", "", 17, kLatest, &MelWeightMatrix},
      {"STFT", "", 17, kLatest, &ViaFloat<&Stft>},
  };
}

}  // namespace roundel::engine
