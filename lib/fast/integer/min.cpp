// Min of codes with a constant, one value or one per channel. Rounding is monotone, so that the
// code of the smaller value is the smaller code.
#pragma GCC optimize("O3")

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"
#include "lib/fast/integer/codes.h"
#include "lib/fast/integer/kernels.h"

namespace roundel::engine {
namespace {

template <typename T>
inline __attribute__((always_inline)) void Loop(const T* from, const T* bounds, int64_t rows,
                                                int64_t channels, T* to) {
  for (int64_t row = 0; row < rows; ++row, from += channels, to += channels)
    for (int64_t c = 0; c < channels; ++c) to[c] = std::min(from[c], bounds[c]);
}

ROUNDEL_VECTORIZE void MinRows(const uint8_t* from, const uint8_t* bounds, int64_t rows,
                               int64_t channels, bool is_signed, uint8_t* to) {
  if (is_signed)
    Loop(reinterpret_cast<const int8_t*>(from), reinterpret_cast<const int8_t*>(bounds), rows,
         channels, reinterpret_cast<int8_t*>(to));
  else
    Loop(from, bounds, rows, channels, to);
}

class IntegerMin : public FastKernel {
 public:
  IntegerMin(const quant::Encoding& grid, const Tensor& bounds, size_t input)
      : grid_(grid), bounds_(bounds.size()), rank_(bounds.rank()), input_(input) {
    EncodeBytes(bounds.data<float>(), grid, bounds.size(), bounds_.data());
    position_ = 0;  // position of the channel axis, counted from the last axis
    for (int64_t i = 0; i < rank_; ++i)
      if (bounds.dim(i) > 1) position_ = rank_ - i;
  }

  bool Run(FastContext& context) override {
    const Value* x = context.input(input_);
    if (!x) return false;
    const auto rank = static_cast<int64_t>(x->shape.size());
    const bool one = bounds_.size() == 1;
    if (rank_ > rank || rank < 2) return false;
    // Bounds per channel: axis 1 of an image, the last axis of a matrix.
    if (!one && (position_ != rank - 1 || x->shape[1] != std::ssize(bounds_))) return false;
    const Shape shape = x->shape;
    const Layout layout = rank > 2 ? Layout::kChannelsLast : Layout::kPlain;
    const uint8_t* from = context.Codes(input_, layout);
    uint8_t* to = from ? context.OutputCodes(shape, layout, grid_) : nullptr;
    if (!to) return false;
    const std::vector<uint8_t> bounds =
        one ? std::vector<uint8_t>(static_cast<size_t>(shape[1]), bounds_[0]) : bounds_;
    const int64_t channels = shape[1], values = NumElements(shape);
    if (values == 0) return true;
    ParallelFor(values / channels, 1 + (1 << 15) / channels, [&](int64_t begin, int64_t end) {
      MinRows(from + begin * channels, bounds.data(), end - begin, channels, grid_.grid.is_signed,
              to + begin * channels);
    });
    return true;
  }

 private:
  const quant::Encoding& grid_;
  std::vector<uint8_t> bounds_;
  const int64_t rank_;
  const size_t input_;
  int64_t position_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeIntegerMin(const KernelSpec& spec) {
  if (spec.opset < 8 || spec.constants.size() != 2 || !spec.post_ops.empty()) return nullptr;
  const size_t input = spec.constants[0] ? 1 : 0;
  const Tensor* bounds = spec.constants[1 - input];
  const quant::Encoding* grid = spec.encodings[input];
  if (!bounds || bounds->dtype() != DType::kFloat || bounds->size() == 0 || spec.constants[input] ||
      !FitsBytes(grid) || !FitsBytes(spec.output_encoding) ||
      !(grid->grid == spec.output_encoding->grid && grid->params == spec.output_encoding->params))
    return nullptr;
  int64_t long_axes = 0;
  for (int64_t dim : bounds->shape()) long_axes += dim > 1;
  if (long_axes > 1) return nullptr;
  return std::make_unique<IntegerMin>(*grid, *bounds, input);
}

}  // namespace roundel::engine
