// Concat of codes; the codes of inputs on a grid that differs from the result's are mapped by a
// table.

#include <array>
#include <cstring>

#include "lib/base/parallel.h"
#include "lib/fast/integer/codes.h"
#include "lib/fast/integer/kernels.h"
#include "lib/fast/loops/concat.h"

namespace roundel::engine {
namespace {

// Code of the input (as a byte) -> code of the result.
using Table = std::array<uint8_t, 256>;

class IntegerConcat : public FastKernel {
 public:
  IntegerConcat(const KernelSpec& spec, int64_t axis)
      : axis_(axis), result_(*spec.output_encoding) {
    for (const quant::Encoding* from : spec.encodings) {
      same_.push_back(from->grid == result_.grid && from->params == result_.params);
      Table bytes, table;
      std::array<float, 256> values;
      for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
      DecodeBytes(bytes.data(), *from, 256, values.data());
      EncodeBytes(values.data(), result_, 256, table.data());
      tables_.push_back(table);
    }
  }

  bool Run(FastContext& context) override {
    const std::optional<ConcatPlan> plan = PlanConcat(context, axis_);
    if (!plan) return false;
    const size_t count = context.input_count();
    std::vector<const uint8_t*> from(count);
    for (size_t i = 0; i < count; ++i) {
      from[i] = context.Codes(i, plan->layout);
      if (!from[i]) return false;
    }
    uint8_t* to = context.OutputCodes(plan->shape, plan->layout, result_);
    if (!to) return false;
    if (plan->total == 0) return true;
    ParallelFor(plan->outer, 1 + (1 << 16) / plan->total, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        uint8_t* target = to + row * plan->total;
        for (size_t i = 0; i < count; target += plan->run[i++])
          Copy(i, from[i] + row * plan->run[i], plan->run[i], target);
      }
    });
    return true;
  }

 private:
  void Copy(size_t input, const uint8_t* from, int64_t n, uint8_t* to) const {
    if (same_[input]) {
      std::memcpy(to, from, static_cast<size_t>(n));
      return;
    }
    for (int64_t i = 0; i < n; ++i) to[i] = tables_[input][from[i]];
  }

  const int64_t axis_;
  const quant::Encoding& result_;
  std::vector<char> same_;
  std::vector<Table> tables_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeIntegerConcat(const KernelSpec& spec) {
  if (!FitsBytes(spec.output_encoding) || !spec.post_ops.empty()) return nullptr;
  for (size_t i = 0; i < spec.encodings.size(); ++i)
    if (!FitsBytes(spec.encodings[i]) || spec.constants[i]) return nullptr;
  return std::make_unique<IntegerConcat>(spec, spec.main->Int("axis", 1));
}

}  // namespace roundel::engine
