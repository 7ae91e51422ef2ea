#pragma once
// Searching for the range of least error, shared by the methods that do.

#include <functional>

#include "lib/quant/observers.h"

namespace roundel::quant {

using RangeCost = std::function<double(const Range&)>;

// Sum of squared errors of quantizing all values to the grid that covers `range`.
double SquaredError(const Evidence& evidence, const Range& range, const Grid& grid);
// The range of least SquaredError, up to half a per cent at either end: see mse.cpp. On grids that
// are no plain integers, too, where other searches do not apply.
Range LeastSquaredError(const Evidence& evidence, const Grid& grid);
// The same for ternary and binary grids, exactly: see ternary.cpp.
Range LeastSquaresFewLevels(const Distribution& values, const Grid& grid);
// Moves the ends of `range` (the magnitude, if symmetric) by factors of ever smaller size as long
// as `cost` falls; ends stay within what was seen.
Range Refine(Range range, const Range& seen, const Grid& grid, const RangeCost& cost);
// The range that ParamsFromRange turns into `params`, up to rounding.
Range RangeOf(const QParams& params, const Grid& grid);

}  // namespace roundel::quant
