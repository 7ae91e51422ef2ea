// Add of two values on 8-bit grids.

#include "lib/base/parallel.h"
#include "lib/engine/integer/add_codes.h"
#include "lib/engine/integer/codes.h"
#include "lib/engine/integer/kernels.h"

namespace roundel::engine {
namespace {

class IntegerAdd : public FastKernel {
 public:
  explicit IntegerAdd(const KernelSpec& spec) : result_(*spec.output_encoding) {
    const auto grid = [](const quant::Encoding& e) {
      return CodeGrid{e.params[0], e.grid.is_signed};
    };
    terms_ = AddTerms::For(grid(*spec.encodings[0]), grid(*spec.encodings[1]), grid(result_));
  }

  bool Run(FastContext& context) override {
    const Value *a = context.input(0), *b = context.input(1);
    if (!a || !b || a->shape != b->shape) return false;
    const Shape shape = a->shape;
    const Layout layout = b->layout == Layout::kChannelsLast ? b->layout : a->layout;
    const uint8_t* from_a = context.Codes(0, layout);
    const uint8_t* from_b = context.Codes(1, layout);
    uint8_t* to = from_a && from_b ? context.OutputCodes(shape, layout, result_) : nullptr;
    if (!to) return false;
    ParallelFor(NumElements(shape), 1 << 14, [&](int64_t begin, int64_t end) {
      AddCodes(terms_, from_a + begin, from_b + begin, to + begin, end - begin);
    });
    return true;
  }

 private:
  const quant::Encoding& result_;
  AddTerms terms_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeIntegerAdd(const KernelSpec& spec) {
  if (spec.opset < 7 || spec.encodings.size() != 2 || !spec.post_ops.empty() ||
      !FitsBytes(spec.encodings[0]) || !FitsBytes(spec.encodings[1]) || spec.constants[0] ||
      spec.constants[1] || !FitsBytes(spec.output_encoding))
    return nullptr;
  return std::make_unique<IntegerAdd>(spec);
}

}  // namespace roundel::engine
