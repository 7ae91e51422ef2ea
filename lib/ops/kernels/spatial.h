#pragma once
// The geometry that convolutions and pooling share: [N, C, spatial...] tensors, any number of
// spatial axes, windows with strides, dilations and padding.

#include <cstdint>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

struct Window {
  Shape input, output;  // spatial dimensions
  std::vector<int64_t> kernel, strides, dilations, pads_begin, pads_end;
};

// Window of a convolution or pooling over `input`, from the attributes strides, dilations, pads,
// auto_pad, ceil_mode; `kernel` comes from the weights or kernel_shape. kModel if it does not fit.
Result<Window> ResolveWindow(const graph::Node& node, const Shape& input,
                             const std::vector<int64_t>& kernel, bool ceil_mode);

// The spatial dimensions of an [N, C, ...] tensor; kModel if there are none.
Result<Shape> SpatialShape(const Tensor& x);

// Strides and dilations (all >= 1) of the attribute `name`, 1 by default.
Result<std::vector<int64_t>> PositiveAttribute(const graph::Node& node, const std::string& name,
                                               size_t rank);

// Visits all indices of a box in row-major order: for (Odometer i(dims); !i.done(); i.Next()).
class Odometer {
 public:
  explicit Odometer(const Shape& dims) : dims_(dims), index_(dims.size(), 0) {
    for (int64_t dim : dims) done_ = done_ || dim == 0;
  }
  bool done() const { return done_; }
  int64_t operator[](size_t axis) const { return index_[axis]; }
  const std::vector<int64_t>& index() const { return index_; }
  void Next() {
    for (size_t axis = dims_.size(); axis-- > 0;) {
      if (++index_[axis] < dims_[axis]) return;
      index_[axis] = 0;
    }
    done_ = true;
  }

 private:
  Shape dims_;
  std::vector<int64_t> index_;
  bool done_ = false;
};

// Output positions o in [begin, end) whose input position o * stride + offset is in [0, input).
struct Interval {
  int64_t begin, end;
};
Interval ValidOutputs(int64_t output, int64_t input, int64_t stride, int64_t offset);

}  // namespace roundel::engine
