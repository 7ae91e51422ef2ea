#include "lib/calibration/point_encoding.h"

#include "lib/graph/bodies.h"

namespace roundel::calibration {

using quant::Encoding;
using quant::QParams;
using target::QuantPoint;

Encoding MakeEncoding(const QuantPoint& point, std::vector<QParams> params) {
  Encoding e{.role = point.role,
             .grid = point.grid,
             .granularity = point.granularity,
             .axis = point.axis,
             .block_size = point.block_size,
             .params = std::move(params)};
  e.decided_by = "calibrate";
  return e;
}

const Tensor& ConstantOf(const Session& session, const std::string& value) {
  const Tensor* constant = graph::ConstantInBodies(*session.model.graph, value);
  INVARIANT(constant, "placement of a weight that is not constant: " + value);
  return *constant;
}

}  // namespace roundel::calibration
