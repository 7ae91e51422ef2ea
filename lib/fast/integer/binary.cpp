// Add and Mul of two values on 8-bit grids with broadcasting; either value may be constant.

#include "lib/fast/integer/codes.h"
#include "lib/fast/integer/kernels.h"
#include "lib/ops/kernels/binary_codes.h"
#include "lib/ops/kernels/broadcast.h"

namespace roundel::engine {
namespace {

class IntegerBinary : public FastKernel {
 public:
  IntegerBinary(BinaryCodeOp op, const KernelSpec& spec)
      : result_(*spec.output_encoding),
        codes_(op, spec.encodings[0]->params[0], spec.encodings[1]->params[0], result_.params[0],
               result_.grid.is_signed),
        min_rank_(spec.min_rank) {
    for (size_t i : {0, 1})
      if (spec.constants[i]) constants_[i] = *spec.encodings[i]->codes;
  }

  bool Run(FastContext& context) override {
    Shape shapes[2];
    for (size_t i : {0, 1}) {
      if (!constants_[i].defined() && !context.input(i)) return false;
      shapes[i] = constants_[i].defined() ? constants_[i].shape() : context.input(i)->shape;
    }
    const Result<Broadcast> rows = PlanBroadcast({shapes[0], shapes[1]});
    if (!rows.ok() || static_cast<int64_t>(rows->shape.size()) < min_rank_) return false;
    const Layout layout = LayoutFor(context, shapes, rows->shape);
    const uint8_t* from[2];
    for (size_t i : {0, 1}) {
      const bool coincide = shapes[i].size() != rows->shape.size();
      from[i] = Codes(context, i, coincide ? Layout::kPlain : layout);
      if (!from[i]) return false;
      shapes[i].insert(shapes[i].begin(), rows->shape.size() - shapes[i].size(), 1);
      shapes[i] = PhysicalShape(shapes[i], layout);
    }
    uint8_t* to = context.OutputCodes(rows->shape, layout, result_);
    if (!to) return false;
    // ONNX Runtime stores all values row-major.
    const bool b_first = rows->step(0) == 0 && rows->step(1) != 0;
    const Result<Broadcast> plan = PlanBroadcast({shapes[0], shapes[1]});
    INVARIANT(plan.ok(), "shapes were checked");
    ForEachRun(*plan, [&](int64_t out, const int64_t* in, int64_t n) {
      codes_.Run({from[0] + in[0], plan->step(0)}, {from[1] + in[1], plan->step(1)}, b_first, n,
                 to + out);
    });
    return true;
  }

 private:
  // Channels-last if one of the values is, and both can be.
  Layout LayoutFor(FastContext& context, const Shape* shapes, const Shape& result) const {
    bool any = false;
    for (size_t i : {0, 1}) {
      Shape padded = shapes[i];
      padded.insert(padded.begin(), result.size() - padded.size(), 1);
      const bool movable = !constants_[i].defined() && shapes[i].size() == result.size();
      if (!movable && !LayoutsCoincide(padded)) return Layout::kPlain;
      any |= movable && context.input(i)->layout == Layout::kChannelsLast;
    }
    return any ? Layout::kChannelsLast : Layout::kPlain;
  }

  const uint8_t* Codes(FastContext& context, size_t i, Layout layout) const {
    return constants_[i].defined() ? static_cast<const uint8_t*>(constants_[i].raw())
                                   : context.Codes(i, layout);
  }

  const quant::Encoding& result_;
  const BinaryCodes codes_;
  const int64_t min_rank_;
  Tensor constants_[2];  // codes; undefined for an operand that is not constant
};

}  // namespace

std::unique_ptr<FastKernel> MakeIntegerBinary(const KernelSpec& spec) {
  if (spec.opset < 7 || spec.encodings.size() != 2 || !FitsBytes(spec.output_encoding) ||
      !KeepsWholeRange(spec, *spec.output_encoding))
    return nullptr;
  for (size_t i : {0, 1}) {
    const quant::Encoding* e = spec.encodings[i];
    const bool fits = spec.constants[i] ? HoldsBytes(e) : FitsBytes(e);
    // If the types differ, ONNX Runtime adds floats.
    if (!fits || e->grid.is_signed != spec.output_encoding->grid.is_signed) return nullptr;
  }
  if (spec.constants[0] && spec.constants[1]) return nullptr;
  return std::make_unique<IntegerBinary>(
      spec.main->Is("Add") ? BinaryCodeOp::kAdd : BinaryCodeOp::kMul, spec);
}

}  // namespace roundel::engine
