// Softmax of codes.

#include <map>

#include "lib/base/parallel.h"
#include "lib/fast/integer/codes.h"
#include "lib/fast/integer/kernels.h"
#include "lib/ops/kernels/softmax_codes.h"

namespace roundel::engine {
namespace {

int64_t Product(const Shape& shape, int64_t begin, int64_t end) {
  return NumElements(Shape(shape.begin() + begin, shape.begin() + end));
}

class IntegerSoftmax : public FastKernel {
 public:
  explicit IntegerSoftmax(const KernelSpec& spec)
      : one_axis_(spec.opset >= 13),
        axis_(spec.main->Int("axis", one_axis_ ? -1 : 1)),
        source_(*spec.encodings[0]),
        result_(*spec.output_encoding) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    if (!x) return false;
    const Shape shape = x->shape;
    const auto rank = static_cast<int64_t>(shape.size());
    const int64_t axis = axis_ < 0 ? axis_ + rank : axis_;
    if (axis < 0 || axis >= rank) return false;
    // Before opset 13 the axes from `axis` on are flattened into one.
    const int64_t inner = one_axis_ ? Product(shape, axis + 1, rank) : 1;
    const int64_t length = one_axis_ ? shape[axis] : Product(shape, axis, rank);
    const uint8_t* from = context.Codes(0, Layout::kPlain);
    uint8_t* to = from ? context.OutputCodes(shape, Layout::kPlain, result_) : nullptr;
    if (!to) return false;
    const int64_t rows = Product(shape, 0, axis) * inner;
    if (rows == 0 || length == 0) return true;
    const SoftmaxCodes& softmax = Of(length);
    ParallelFor(rows, 1 + (1 << 13) / length, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row / inner * length * inner + row % inner;
        softmax.Run(from + at, inner, to + at);
      }
    });
    return true;
  }

 private:
  const SoftmaxCodes& Of(int64_t length) {
    constexpr size_t kMost = 16;
    if (known_.size() > kMost) known_.clear();
    return known_
        .try_emplace(length, source_.params[0], result_.params[0], result_.grid.is_signed, length)
        .first->second;
  }

  const bool one_axis_;
  const int64_t axis_;
  const quant::Encoding &source_, &result_;
  std::map<int64_t, SoftmaxCodes> known_;  // by length of a row
};

}  // namespace

std::unique_ptr<FastKernel> MakeIntegerSoftmax(const KernelSpec& spec) {
  if (!FitsBytes(spec.encodings[0]) || spec.constants[0] || !spec.post_ops.empty() ||
      !FitsBytes(spec.output_encoding) ||
      spec.encodings[0]->grid.is_signed != spec.output_encoding->grid.is_signed)
    return nullptr;
  return std::make_unique<IntegerSoftmax>(spec);
}

}  // namespace roundel::engine
