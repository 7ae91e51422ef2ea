#pragma once
// A weight on an integer grid, as the forms of weights see it: scales and zero points of its
// elements, places in steps, and nodes that round.

#include <string>
#include <vector>

#include "lib/quant/encodings.h"
#include "lib/tune/nodes.h"

namespace roundel::tune {

// Whether scales may have any value; others are themselves on a grid.
inline bool HasFreeScales(const quant::Grid& grid) {
  return grid.scales == quant::ScaleKind::kFloat || grid.scales == quant::ScaleKind::kSigned;
}

class WeightGrid {
 public:
  // Requires: encoding.grid.is_uniform().
  WeightGrid(const quant::Encoding& encoding, Shape shape)
      : encoding_(encoding), shape_(std::move(shape)) {}

  const quant::Encoding& encoding() const { return encoding_; }
  const Shape& shape() const { return shape_; }
  Shape scale_shape() const { return ScaleShape(encoding_, shape_); }
  // Of the element at `flat`.
  const quant::QParams& Params(int64_t flat) const {
    return encoding_.params[static_cast<size_t>(encoding_.ParamIndex(shape_, flat))];
  }
  // Its least and its largest code, counted from the zero point.
  int64_t Lowest(int64_t flat) const { return encoding_.grid.qmin() - Params(flat).zero_point; }
  int64_t Highest(int64_t flat) const { return encoding_.grid.qmax() - Params(flat).zero_point; }

  // The weight in steps of its scales, counted from the zero point. If the encoding has codes, each
  // element is moved into the cell of its code, so that rounding gives that code.
  std::vector<double> Places(const Tensor& weight) const;

  // Of the encoding, of the shape of its scales.
  Tensor Scales() const;
  Tensor ZeroPoints() const;
  // A value of the shape of the scales, for every element of the weight (as far as it varies).
  std::string Spread(Nodes* nodes, const std::string& scales) const;
  // The weight rounded with these scales and zero points.
  std::string Round(Nodes* nodes, const std::string& weight, const std::string& scales,
                    const std::string& zero_points) const;

 private:
  const quant::Encoding encoding_;
  const Shape shape_;
};

}  // namespace roundel::tune
