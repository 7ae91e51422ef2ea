#pragma once
// The search for the range with the least error, shared by several methods.

#include <functional>

#include "lib/quant/observers.h"

namespace roundel::quant {

using RangeCost = std::function<double(const Range&)>;

// Sum of the squared quantization errors of all values on the grid that covers `range`.
double SquaredError(const Evidence& evidence, const Range& range, const Grid& grid);
// The range with the least SquaredError, to half a per cent at either end (mse.cpp). It also works
// on grids that are not plain integers, unlike the other searches.
Range LeastSquaredError(const Evidence& evidence, const Grid& grid);
// The same for ternary and binary grids, exactly: see ternary.cpp.
Range LeastSquaresFewLevels(const Distribution& values, const Grid& grid);
// Moves the ends of `range` (the magnitude, if symmetric) by ever smaller factors while `cost`
// falls. The ends stay within `seen`.
Range Refine(Range range, const Range& seen, const Grid& grid, const RangeCost& cost);
// The range that ParamsFromRange turns into `params`, up to rounding.
Range RangeOf(const QParams& params, const Grid& grid);

}  // namespace roundel::quant
