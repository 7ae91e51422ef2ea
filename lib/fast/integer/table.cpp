// Chains of element-wise operations from an 8-bit grid to an 8-bit grid: a table of 256 results,
// computed once with the float kernels.

#include <array>

#include "lib/base/parallel.h"
#include "lib/fast/integer/codes.h"
#include "lib/fast/integer/kernels.h"
#include "lib/fast/loops/post_ops.h"

namespace roundel::engine {
namespace {

class CodeTable : public FastKernel {
 public:
  explicit CodeTable(const KernelSpec& spec)
      : input_(static_cast<size_t>(spec.element_input)),
        min_rank_(spec.min_rank),
        result_(*spec.output_encoding) {
    std::array<uint8_t, 256> codes;
    std::array<float, 256> values;
    for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i);
    DecodeBytes(codes.data(), *spec.encodings[input_], 256, values.data());
    PostOpRunner(spec.post_ops).Run(values.data(), values.data(), 256);
    EncodeBytes(values.data(), result_, 256, table_.data());
  }

  bool Run(FastContext& context) override {
    const Value* x = context.input(input_);
    if (!x || static_cast<int64_t>(x->shape.size()) < min_rank_) return false;
    const Shape shape = x->shape;
    const Layout layout = x->layout;
    const uint8_t* from = context.Codes(input_, layout);
    uint8_t* to = from ? context.OutputCodes(shape, layout, result_) : nullptr;
    if (!to) return false;
    ParallelFor(NumElements(shape), 1 << 15, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = table_[from[i]];
    });
    return true;
  }

 private:
  const size_t input_;
  const int64_t min_rank_;
  const quant::Encoding& result_;
  std::array<uint8_t, 256> table_;  // by the byte of a code
};

}  // namespace

std::unique_ptr<FastKernel> MakeCodeTable(const KernelSpec& spec) {
  if (spec.element_input < 0) return nullptr;
  const auto input = static_cast<size_t>(spec.element_input);
  if (!FitsBytes(spec.encodings[input]) || spec.constants[input] ||
      !FitsBytes(spec.output_encoding))
    return nullptr;
  for (const PostOp& op : spec.post_ops)
    if (op.kind == PostOpKind::kAdd) return nullptr;
  return std::make_unique<CodeTable>(spec);
}

}  // namespace roundel::engine
