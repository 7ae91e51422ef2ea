// Gradients of operators that move, select or repeat elements, in any layout. The position that each
// element of the result comes from is computed once per shape, by the forward kernel on positions.

#include <algorithm>
#include <cstring>

#include "lib/fast/loops/kernels.h"
#include "lib/ops/kernels/gradient.h"

namespace roundel::engine {
namespace {

// 1 + the position in memory of each element, row-major over `shape`.
Tensor Positions(const Shape& shape, Layout layout) {
  Tensor positions = Tensor::Empty(DType::kInt64, shape);
  int64_t* to = positions.mutable_data<int64_t>();
  const int64_t n = positions.size();
  if (layout == Layout::kPlain) {
    for (int64_t i = 0; i < n; ++i) to[i] = i + 1;
    return positions;
  }
  const int64_t channels = shape[1], pixels = n / shape[0] / channels;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t plane = i / pixels, sample = plane / channels;
    to[i] = (sample * pixels + i % pixels) * channels + plane % channels + 1;
  }
  return positions;
}

// dY, X (its shape), further inputs of the forward node -> dX
class MoveGradient : public FastKernel {
 public:
  explicit MoveGradient(const graph::Node& node) : node_(node) {
    if (node_.op_type == "PadGrad") node_.RemoveAttribute("value");  // pads with zeros here
  }

  bool Run(FastContext& context) override {
    const Value *dy = context.input(0), *x = context.input(1);
    if (!dy || !x || dy->dtype() != DType::kFloat || x->dtype() != DType::kFloat) return false;
    const Shape shape = x->shape, moved = dy->shape;
    const Layout layout = shape.size() == moved.size() ? dy->layout : Layout::kPlain;
    const int64_t n = NumElements(moved);
    if (n == 0 || NumElements(shape) == 0 || std::max(n, NumElements(shape)) >= INT32_MAX)
      return false;
    if (!TakeParameters(context)) return false;
    if (!sources_.defined() || shape != shape_ || moved != moved_ || layout != layout_) {
      sources_ = Sources(shape, moved, layout);
      shape_ = shape;
      moved_ = moved;
      layout_ = layout;
    }
    const float* from = sources_.defined() ? context.Data(0, layout) : nullptr;
    float* to = from ? context.Output(shape, layout) : nullptr;
    if (!to) return false;
    std::fill_n(to, NumElements(shape), 0.0f);
    const int32_t* source = sources_.data<int32_t>();
    for (int64_t i = 0; i < n; ++i)
      if (source[i] >= 0) to[source[i]] += from[i];
    return true;
  }

 private:
  // Sets parameters_, without sources_ if they have changed; false if there are too many of them,
  // such as indices of tokens, which change in each run.
  bool TakeParameters(const FastContext& context) {
    constexpr int64_t kMost = 256;
    std::vector<Tensor> given;
    for (size_t i = 2; i < context.input_count(); ++i) {
      const Value* value = context.input(i);
      const bool fill = i == 3 && node_.op_type == "PadGrad";
      given.push_back(value && !fill ? value->data : Tensor());
      const Tensor& taken = given.back();
      if (taken.defined() &&
          (taken.size() > kMost || taken.dtype() == DType::kString || value->codes_of))
        return false;
    }
    if (given == parameters_) return true;
    parameters_.clear();
    for (const Tensor& t : given) {  // of the kernel's own: values live for one run
      parameters_.push_back(t.defined() ? Tensor::Empty(t.dtype(), t.shape()) : Tensor());
      if (t.defined() && t.size() > 0)
        std::memcpy(parameters_.back().mutable_raw(), t.raw(), static_cast<size_t>(t.byte_size()));
    }
    sources_ = Tensor();
    return true;
  }

  // By position in dY: the position in dX; -1 for what the operator has added. Undefined if the
  // shapes do not fit.
  Tensor Sources(const Shape& x, const Shape& dy, Layout layout) const {
    std::vector<Tensor> inputs = {Positions(x, layout)};
    inputs.insert(inputs.end(), parameters_.begin(), parameters_.end());
    const auto made = RunInner(ForwardType(node_).c_str(), inputs, node_, 1, ForwardOpset(node_));
    if (!made.ok() || (*made)[0].shape() != dy || (*made)[0].dtype() != DType::kInt64) return {};
    Tensor sources = Tensor::Empty(DType::kInt32, dy);
    const Tensor places = Positions(dy, layout);
    const int64_t *from = (*made)[0].data<int64_t>(), *place = places.data<int64_t>();
    int32_t* to = sources.mutable_data<int32_t>();
    for (int64_t i = 0; i < sources.size(); ++i)
      to[place[i] - 1] = static_cast<int32_t>(from[i] - 1);
    return sources;
  }

  graph::Node node_;
  // Of the last run, to which sources_ belongs; parameters: the inputs from the third on.
  std::vector<Tensor> parameters_;
  Shape shape_, moved_;
  Layout layout_ = Layout::kPlain;
  Tensor sources_;
};

// dY, X1 ... Xn (their shapes) -> the parts of dY
class ConcatGradient : public FastKernel {
 public:
  explicit ConcatGradient(const graph::Node& node)
      : axis_(node.Int("axis", ForwardOpset(node) < 4 ? 1 : 0)), parts_(node.outputs.size()) {}

  bool Run(FastContext& context) override {
    const Value* dy = context.input(0);
    if (!dy || dy->dtype() != DType::kFloat || dy->shape.empty()) return false;
    const Layout layout = dy->layout;
    const auto rank = static_cast<int64_t>(dy->shape.size());
    const int64_t axis = axis_ < 0 ? axis_ + rank : axis_;
    if (axis < 0 || axis >= rank || parts_ + 1 != context.input_count()) return false;
    std::vector<Shape> shapes;
    if (!PartShapes(context, axis, &shapes)) return false;
    const Shape whole = PhysicalShape(dy->shape, layout);
    int64_t inner = 1, outer = 1, begin = 0;
    const int64_t place = PhysicalAxis(axis, rank, layout);
    for (int64_t i = 0; i < rank; ++i) (i < place ? outer : inner) *= whole[i];
    const int64_t each = inner / whole[place];  // elements per index along the axis
    const float* from = context.Data(0, layout);
    if (!from) return false;
    for (size_t k = 0; k < parts_; ++k) {
      auto* to = static_cast<float*>(context.OutputOf(k, DType::kFloat, shapes[k], layout));
      if (!to) return false;
      const int64_t run = shapes[k][axis] * each;
      for (int64_t o = 0; o < outer; ++o)
        std::memcpy(to + o * run, from + o * inner + begin, static_cast<size_t>(run) * 4);
      begin += run;
    }
    return true;
  }

 private:
  bool PartShapes(const FastContext& context, int64_t axis, std::vector<Shape>* shapes) const {
    const Shape& whole = context.input(0)->shape;
    int64_t total = 0;
    for (size_t k = 1; k <= parts_; ++k) {
      const Value* part = context.input(k);
      if (!part || part->shape.size() != whole.size()) return false;
      Shape same = part->shape;
      total += same[axis];
      same[axis] = whole[axis];
      if (same != whole) return false;
      shapes->push_back(part->shape);
    }
    return total == whole[axis] && NumElements(whole) > 0;
  }

  const int64_t axis_;
  const size_t parts_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeMoveGradient(const KernelSpec& spec) {
  return std::make_unique<MoveGradient>(*spec.main);
}

std::unique_ptr<FastKernel> MakeConcatGradient(const KernelSpec& spec) {
  return std::make_unique<ConcatGradient>(*spec.main);
}

}  // namespace roundel::engine
