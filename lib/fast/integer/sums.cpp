#pragma GCC optimize("O3")

#include "lib/fast/integer/sums.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"
#include "lib/fast/integer/codes.h"
#include "lib/fast/integer/linear.h"

namespace roundel::engine {
namespace {

// The sums use the memory of the results.
using Sum = int32_t __attribute__((may_alias));

struct RowTerms {
  const int32_t* shift;  // subtracted from the sums
  const float *scale, *bias;
  float low, high;
};

ROUNDEL_VECTORIZE void ScaleSums(const Sum* sums, int64_t rows, int64_t channels, const RowTerms& t,
                                 float* to) {
  const int32_t* shift = t.shift;
  const float *scale = t.scale, *bias = t.bias;
  const float low = t.low, high = t.high;
  for (int64_t row = 0; row < rows; ++row, sums += channels, to += channels) {
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c) {
      const auto sum =
          static_cast<int32_t>(static_cast<uint32_t>(sums[c]) - static_cast<uint32_t>(shift[c]));
      float y = static_cast<float>(sum) * scale[c] + bias[c];
      y = y < low ? low : y;
      to[c] = y > high ? high : y;
    }
  }
}

ROUNDEL_VECTORIZE void ScaleFloats(float* sums, int64_t rows, int64_t channels, const RowTerms& t) {
  const float *scale = t.scale, *bias = t.bias;
  const float low = t.low, high = t.high;
  for (int64_t row = 0; row < rows; ++row, sums += channels)
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c) {
      float y = sums[c] * scale[c] + bias[c];
      y = y < low ? low : y;
      sums[c] = y > high ? high : y;
    }
}

ROUNDEL_VECTORIZE void ShiftSums(Sum* sums, int64_t rows, int64_t channels, const int32_t* shift) {
  for (int64_t row = 0; row < rows; ++row, sums += channels)
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c)
      sums[c] =
          static_cast<int32_t>(static_cast<uint32_t>(sums[c]) - static_cast<uint32_t>(shift[c]));
}

bool AreCodes(const Tensor& x) { return x.dtype() == DType::kInt8 || x.dtype() == DType::kUint8; }

// The weights minus their zero points, as int8; undefined if they do not fit. Invalid operands are
// left to the plain kernels, which report the error.
Tensor WithoutZeroPoint(const Tensor& codes, const Tensor* zero, int64_t channel_axis) {
  if (!AreCodes(codes) || codes.rank() <= channel_axis || (zero && !AreCodes(*zero))) return {};
  std::vector<int64_t> points = zero ? zero->ToInt64s() : std::vector<int64_t>{0};
  if (points.size() != 1 && std::ssize(points) != codes.dim(channel_axis)) return {};
  if (codes.dtype() == DType::kInt8 &&
      std::all_of(points.begin(), points.end(), [](int64_t p) { return p == 0; }))
    return codes;
  int64_t inner = 1;
  for (int64_t i = channel_axis + 1; i < codes.rank(); ++i) inner *= codes.dim(i);
  Tensor shifted = Tensor::Empty(DType::kInt8, codes.shape());
  const auto* from = static_cast<const uint8_t*>(codes.raw());
  const bool is_signed = codes.dtype() == DType::kInt8;
  int8_t* to = shifted.mutable_data<int8_t>();
  for (int64_t i = 0; i < codes.size(); ++i) {
    const size_t channel = i / inner % codes.dim(channel_axis);
    const int64_t code = is_signed ? static_cast<int8_t>(from[i]) : from[i];
    const int64_t value = code - points[points.size() == 1 ? 0 : channel];
    if (value < -128 || value > 127) return {};
    to[i] = static_cast<int8_t>(value);
  }
  return shifted;
}

}  // namespace

std::optional<IntegerSums> IntegerSums::Of(const KernelSpec& spec, int64_t channel_axis) {
  if (spec.constants.size() < 2 || !spec.constants[1] || spec.constants[0] || spec.min_rank > 0)
    return std::nullopt;
  const bool has_zero = spec.main->inputs.size() > 3 && !spec.main->inputs[3].empty();
  const Tensor* zero = has_zero ? spec.constants[3] : nullptr;
  if (has_zero && !zero) return std::nullopt;
  const Tensor codes = WithoutZeroPoint(*spec.constants[1], zero, channel_axis);
  constexpr int64_t kMaxTerms = 1 << 16;  // longer sums could overflow 32 bits
  if (!codes.defined() || codes.size() == 0 || codes.size() / codes.dim(channel_axis) > kMaxTerms)
    return std::nullopt;
  IntegerSums sums;
  sums.floats_ = !HasExactDotProduct();
  sums.weights_ = LinearWeights(sums.floats_ ? codes.ToFloat() : codes);
  sums.scale_input_ = spec.scale_input;
  sums.totals_.resize(static_cast<size_t>(codes.dim(channel_axis)));
  int64_t inner = 1;
  for (int64_t i = channel_axis + 1; i < codes.rank(); ++i) inner *= codes.dim(i);
  for (int64_t i = 0; i < codes.size(); ++i)
    sums.totals_[i / inner % sums.channels()] += codes.data<int8_t>()[i];
  if (spec.bias.defined())
    sums.bias_.assign(spec.bias.span<float>().begin(), spec.bias.span<float>().end());
  if (!sums.bias_.empty() && std::ssize(sums.bias_) != sums.channels()) return std::nullopt;
  std::vector<PostOp> ops = spec.post_ops;
  sums.low_ = -std::numeric_limits<float>::infinity();
  sums.high_ = -sums.low_;
  const bool relu = !ops.empty() && ops[0].kind == PostOpKind::kRelu && ops[0].alpha == 0;
  if (relu || (!ops.empty() && ops[0].kind == PostOpKind::kClip)) {
    sums.low_ = relu ? 0 : ops[0].alpha;
    if (!relu) sums.high_ = ops[0].beta;
    ops.erase(ops.begin());
  }
  for (const PostOp& op : ops)
    if (op.kind == PostOpKind::kAdd) sums.residual_ = op.input;
  sums.rest_ = std::make_shared<PostOpRunner>(std::move(ops));
  return sums;
}

namespace {

// One value, or one per channel, broadcast to `n`; empty if `value` is neither.
std::vector<float> ByChannel(const Shape& shape, const float* data, const Shape& result,
                             int64_t channel_axis) {
  const int64_t n = result[channel_axis], count = NumElements(shape);
  if (!data || shape.size() > result.size()) return {};
  if (count == 1) return std::vector<float>(static_cast<size_t>(n), data[0]);
  const int64_t position = channel_axis - std::ssize(result) + std::ssize(shape);
  if (count != n || position < 0 || shape[position] != n) return {};
  return {data, data + n};
}

}  // namespace

std::optional<SumsInput> IntegerSums::Read(FastContext& context, const Shape& shape,
                                           int64_t channel_axis, Layout layout) const {
  SumsInput input;
  const Value* x = context.input(0);
  const DType type = x->dtype();
  if (type != DType::kUint8 && type != DType::kInt8) return std::nullopt;
  input.is_signed = type == DType::kInt8;
  if (const Value* zero = context.input(2)) {
    if (zero->dtype() != type || zero->data.size() != 1) return std::nullopt;
    const uint8_t byte = *static_cast<const uint8_t*>(zero->data.raw());
    input.zero_point = input.is_signed ? static_cast<int8_t>(byte) : byte;
  }
  if (scale_input_ >= 0) {
    const auto i = static_cast<size_t>(scale_input_);
    const Value* scale = context.input(i);
    if (!scale || scale->dtype() != DType::kFloat) return std::nullopt;
    input.scale = ByChannel(scale->shape, context.Data(i, Layout::kPlain), shape, channel_axis);
    if (input.scale.empty()) return std::nullopt;
  }
  if (residual_ >= 0) {
    const auto i = static_cast<size_t>(residual_);
    const Value* other = context.input(i);
    if (!other || other->dtype() != DType::kFloat || other->shape != shape) return std::nullopt;
    input.addend = context.Data(i, layout);
    if (!input.addend) return std::nullopt;
  }
  return input;
}

const void* IntegerSums::Source(FastContext& context, const uint8_t* codes, int64_t n,
                                const SumsInput& input) const {
  if (!floats_ || !codes) return codes;
  auto* to = static_cast<float*>(context.Scratch(n * 4));
  const quant::Encoding shift{.grid = {.bits = 8, .is_signed = input.is_signed},
                              .params = {{1.0f, input.zero_point}}};
  if (to) DecodeBytes(codes, shift, n, to);
  return to;
}

void* IntegerSums::Destination(FastContext& context, const Shape& shape, Layout layout) const {
  return scale_input_ >= 0 ? context.Output(shape, layout)
                           : context.OutputOf(0, DType::kInt32, shape, layout);
}

void IntegerSums::Finish(const SumsInput& input, int64_t rows, void* sums) {
  const int64_t n = channels();
  std::vector<int32_t> shift(totals_);
  for (int32_t& total : shift) total *= input.zero_point;
  const std::vector<float> zeros(static_cast<size_t>(n), -0.0f);  // neutral elements of addition
  const RowTerms terms{shift.data(), input.scale.data(),
                       bias_.empty() ? zeros.data() : bias_.data(), low_, high_};
  ParallelFor(rows, 1 + (1 << 14) / n, [&](int64_t begin, int64_t end) {
    void* at = static_cast<Sum*>(sums) + begin * n;
    if (floats_ && input.scale.empty())
      for (int64_t i = 0; i < (end - begin) * n; ++i)
        static_cast<Sum*>(at)[i] = static_cast<Sum>(std::lrint(static_cast<float*>(at)[i]));
    else if (floats_)
      ScaleFloats(static_cast<float*>(at), end - begin, n, terms);
    else if (input.scale.empty())
      ShiftSums(static_cast<Sum*>(at), end - begin, n, shift.data());
    else
      ScaleSums(static_cast<Sum*>(at), end - begin, n, terms, static_cast<float*>(at));
  });
  auto* floats = static_cast<float*>(sums);
  if (!rest_->empty()) rest_->Run(floats, floats, rows * n, input.addend);
}

}  // namespace roundel::engine
