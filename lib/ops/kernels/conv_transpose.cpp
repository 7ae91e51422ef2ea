// ConvTranspose over any number of spatial axes: the kernel spreads each input element over the
// output: y[i * stride + tap * dilation - pad] += x[i] * w[tap].
#pragma GCC optimize("O3")

#include <algorithm>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/spatial.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// The padding that reduces stride * (in - 1) + output_padding + span to `output`.
void PadToOutput(Window& window, size_t axis, int64_t full, bool upper) {
  const int64_t total = std::max<int64_t>(0, full - window.output[axis]);
  window.pads_begin[axis] = upper ? total / 2 : total - total / 2;
  window.pads_end[axis] = total - window.pads_begin[axis];
}

Result<Window> TransposedWindow(const graph::Node& node, const Shape& input,
                                const std::vector<int64_t>& kernel) {
  const size_t rank = input.size();
  Window window{input, Shape(rank), kernel, {}, {}, {}, {}};
  ASSIGN_OR_RETURN(window.strides, PositiveAttribute(node, "strides", rank));
  ASSIGN_OR_RETURN(window.dilations, PositiveAttribute(node, "dilations", rank));
  const std::string auto_pad = node.String("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  const auto attribute = [&](const char* name, size_t count) -> Result<std::vector<int64_t>> {
    const std::vector<int64_t> values = node.Ints(name, std::vector<int64_t>(count, 0));
    bool fits = values.size() == count;
    for (int64_t value : values) fits = fits && value >= 0 && value < int64_t{1} << 30;
    if (!fits) return ModelError(StrCat("attribute ", name, " [", Join(values), "] does not fit"));
    return values;
  };
  ASSIGN_OR_RETURN(const std::vector<int64_t> pads, attribute("pads", 2 * rank));
  ASSIGN_OR_RETURN(const std::vector<int64_t> extra, attribute("output_padding", rank));
  const bool has_shape = node.FindAttribute("output_shape") != nullptr;
  ASSIGN_OR_RETURN(std::vector<int64_t> wanted, attribute("output_shape", rank));
  window.pads_begin.assign(pads.begin(), pads.begin() + static_cast<int64_t>(rank));
  window.pads_end.assign(pads.begin() + static_cast<int64_t>(rank), pads.end());
  for (size_t i = 0; i < rank; ++i) {
    if (kernel[i] < 1 || kernel[i] > int64_t{1} << 30 || input[i] < 1 || input[i] > 1 << 30)
      return ModelError(StrCat("kernel [", Join(kernel), "] over ", ShapeString(input)));
    const int64_t span = (kernel[i] - 1) * window.dilations[i] + 1;
    const int64_t full = (input[i] - 1) * window.strides[i] + extra[i] + span;
    if (has_shape || same) {
      window.output[i] = has_shape ? wanted[i] : input[i] * window.strides[i];
      PadToOutput(window, i, full, auto_pad == "SAME_UPPER");
      continue;
    }
    if (auto_pad == "VALID") window.pads_begin[i] = window.pads_end[i] = 0;
    window.output[i] = full - window.pads_begin[i] - window.pads_end[i];
    if (window.output[i] < 0)
      return ModelError(StrCat("pads [", Join(pads), "] exceed the output of ", full));
  }
  return window;
}

// sums += weight * x, spread by one kernel tap.
void SpreadTap(const Window& window, const std::vector<int64_t>& tap, float weight, const float* x,
               double* sums) {
  const size_t rank = window.input.size(), last = rank - 1;
  std::vector<int64_t> offsets(rank);
  std::vector<Interval> valid(rank);  // input positions whose target is inside the output
  Shape rows;
  for (size_t i = 0; i < rank; ++i) {
    offsets[i] = tap[i] * window.dilations[i] - window.pads_begin[i];
    valid[i] = ValidOutputs(window.input[i], window.output[i], window.strides[i], offsets[i]);
    if (i < last) rows.push_back(valid[i].end - valid[i].begin);
  }
  const int64_t stride = window.strides[last];
  for (Odometer row(rows); !row.done(); row.Next()) {
    int64_t in = 0, out = 0;
    for (size_t i = 0; i < last; ++i) {
      const int64_t position = valid[i].begin + row[i];
      in = (in + position) * window.input[i + 1];
      out = (out + position * window.strides[i] + offsets[i]) * window.output[i + 1];
    }
    const float* from = x + in;
    double* to = sums + out + offsets[last];
    for (int64_t i = valid[last].begin; i < valid[last].end; ++i)
      to[i * stride] += static_cast<double>(weight) * static_cast<double>(from[i]);
  }
}

Status ConvTranspose(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2}));
  const Tensor &x = *context.input(0), &w = *context.input(1);
  const Tensor* bias = context.input(2);
  const int64_t groups = context.node().Int("group", 1);
  if (x.rank() < 3 || w.rank() != x.rank() || groups < 1 || x.dim(1) % groups != 0 ||
      w.dim(0) != x.dim(1) || w.dim(1) > kMaxTensorBytes / groups)
    return ModelError(StrCat("input ", ShapeString(x.shape()), ", weights ", ShapeString(w.shape()),
                             " and group ", groups, " do not fit"));
  const int64_t ins = x.dim(1) / groups, outs = w.dim(1), channels_out = outs * groups;
  if (bias && bias->shape() != Shape{channels_out})
    return ModelError(
        StrCat("bias of shape ", ShapeString(bias->shape()), " for ", channels_out, " channels"));
  ASSIGN_OR_RETURN(const Window window,
                   TransposedWindow(context.node(), Shape(x.shape().begin() + 2, x.shape().end()),
                                    Shape(w.shape().begin() + 2, w.shape().end())));
  Shape shape = {x.dim(0), channels_out};
  shape.insert(shape.end(), window.output.begin(), window.output.end());
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, shape));
  const float *from = x.data<float>(), *weights = w.data<float>();
  float* out = y->mutable_data<float>();
  const int64_t in_plane = NumElements(window.input), out_plane = NumElements(window.output);
  const int64_t taps = NumElements(window.kernel);
  ParallelFor(x.dim(0) * channels_out, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(out_plane));
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t n = plane / channels_out, c_out = plane % channels_out;
      std::fill(sums.begin(), sums.end(), bias ? bias->data<float>()[c_out] : 0.0);
      for (int64_t c = 0; c < ins; ++c) {
        const int64_t c_in = c_out / outs * ins + c;
        const float* tap_weights = weights + (c_in * outs + c_out % outs) * taps;
        for (Odometer tap(window.kernel); !tap.done(); tap.Next())
          SpreadTap(window, tap.index(), *tap_weights++, from + (n * x.dim(1) + c_in) * in_plane,
                    sums.data());
      }
      for (int64_t i = 0; i < out_plane; ++i)
        out[plane * out_plane + i] = static_cast<float>(sums[i]);
    }
  });
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> ConvTransposeRows() {
  return {
      {"ConvTranspose", "", 1, kLatest, &ViaFloat<&ConvTranspose>},
  };
}

}  // namespace roundel::engine
