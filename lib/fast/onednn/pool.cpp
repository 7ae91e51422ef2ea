// MaxPool, AveragePool and their global forms (ReduceMean over all pixels is one), channels-last;
// MaxPool also of codes.

#include <algorithm>
#include <numeric>

#include "lib/fast/onednn/conv_shape.h"
#include "lib/fast/onednn/kernels.h"
#include "lib/fast/onednn/prepared_cache.h"
#include "lib/fast/onednn/primitive.h"
#include "lib/ops/kernels/spatial.h"

namespace roundel::engine {
namespace {

class PoolKernel : public FastKernel {
 public:
  // `axes`: of a ReduceMean. `codes`: the grid of the pooled codes; nullptr: floats.
  PoolKernel(const graph::Node& node, std::vector<int64_t> axes, const quant::Encoding* codes)
      : node_(node),
        codes_(codes),
        axes_(std::move(axes)),
        reduce_(node.op_type == "ReduceMean"),
        global_(reduce_ || node.op_type.starts_with("Global")),
        max_(node.op_type.ends_with("MaxPool")),
        include_padding_(node.Int("count_include_pad", 0) != 0) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    if (!x || x->dtype() != DType::kFloat || !DimsFit(x->shape)) return false;
    const auto rank = static_cast<int64_t>(x->shape.size());
    if (rank < kMinChannelsLastRank || rank > kMaxChannelsLastRank) return false;
    if (reduce_ && !ReducesPixels(rank)) return false;
    Window window;
    if (!Resolve(Shape(x->shape.begin() + 2, x->shape.end()), &window)) return false;
    Shape shape = {x->shape[0], x->shape[1]};
    shape.insert(shape.end(), window.output.begin(), window.output.end());
    if (!DimsFit(shape)) return false;
    const Primitive& primitive =
        cache_.Get(ShapeKey({&x->shape}), [&] { return Make(x->shape, shape, window); });
    if (reduce_ && node_.Int("keepdims", 1) == 0) shape.resize(2);
    return primitive && Execute(context, primitive, shape);
  }

 private:
  bool ReducesPixels(int64_t rank) const {
    std::vector<int64_t> axes = axes_;
    for (int64_t& axis : axes) axis += axis < 0 ? rank : 0;
    std::sort(axes.begin(), axes.end());
    std::vector<int64_t> pixels(static_cast<size_t>(rank) - 2);
    std::iota(pixels.begin(), pixels.end(), 2);
    return axes == pixels;
  }

  // Fills `window` with the padding for which the sizes are exact.
  bool Resolve(const Shape& input, Window* window) const {
    if (global_) {
      const std::vector<int64_t> zeros(input.size(), 0), ones(input.size(), 1);
      *window = {input, ones, input, ones, ones, zeros, zeros};
      return true;
    }
    const bool ceil_mode = node_.Int("ceil_mode", 0) != 0;
    Result<Window> resolved = ResolveWindow(node_, input, node_.Ints("kernel_shape"), ceil_mode);
    if (!resolved.ok()) return false;
    *window = std::move(*resolved);
    for (size_t i = 0; i < input.size(); ++i) {
      const int64_t span = (window->kernel[i] - 1) * window->dilations[i] + 1;
      const int64_t end =
          (window->output[i] - 1) * window->strides[i] + span - input[i] - window->pads_begin[i];
      // Padding that results only from rounding up is not part of an average.
      if (!max_ && include_padding_ && end > window->pads_end[i]) return false;
      if (window->pads_begin[i] >= span || end >= span) return false;  // a window without input
      window->pads_end[i] = end;
    }
    return true;
  }

  Primitive Make(const Shape& x, const Shape& y, const Window& window) const {
    const PoolKind kind = max_               ? PoolKind::kMax
                          : include_padding_ ? PoolKind::kAverageWithPadding
                                             : PoolKind::kAverage;
    const DType type = codes_ ? codes_->grid.storage_type() : DType::kFloat;
    return MakePooling(kind, DescOf(x, Layout::kChannelsLast, type),
                       DescOf(y, Layout::kChannelsLast, type), window);
  }

  bool Execute(FastContext& context, const Primitive& primitive, const Shape& shape) const {
    const void* source = codes_ ? static_cast<const void*>(context.Codes(0, Layout::kChannelsLast))
                                : context.Data(0, Layout::kChannelsLast);
    void* scratch = nullptr;
    if (!source || !TakeScratch(context, primitive, &scratch)) return false;
    const Layout layout = shape.size() < 3 ? Layout::kPlain : Layout::kChannelsLast;
    void* destination = codes_ ? static_cast<void*>(context.OutputCodes(shape, layout, *codes_))
                               : context.Output(shape, layout);
    return destination && primitive.Run({.source = source, .destination = destination}, scratch);
  }

  const graph::Node node_;
  const quant::Encoding* codes_;
  const std::vector<int64_t> axes_;
  const bool reduce_, global_, max_, include_padding_;
  PreparedCache<Primitive> cache_;
};

}  // namespace

std::unique_ptr<FastKernel> MakePoolKernel(const KernelSpec& spec) {
  std::vector<int64_t> axes = spec.main->Ints("axes");
  if (spec.main->op_type == "ReduceMean" && spec.constants.size() > 1) {
    const Tensor* input = spec.constants[1];
    if (!input || input->dtype() != DType::kInt64) return nullptr;
    axes = input->ToInt64s();
  }
  return std::make_unique<PoolKernel>(*spec.main, std::move(axes), nullptr);
}

std::unique_ptr<FastKernel> MakePoolOfCodes(const KernelSpec& spec) {
  return std::make_unique<PoolKernel>(*spec.main, std::vector<int64_t>{}, spec.encodings[0]);
}

}  // namespace roundel::engine
