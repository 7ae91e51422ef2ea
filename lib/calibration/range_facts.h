#pragma once
// What a report says of a chosen range.

#include "lib/calibration/decide_range.h"
#include "lib/report/details.h"

namespace roundel::calibration {

// Requires that DecideRange united the statistics of the group.
report::RangeFacts RangeFactsOf(const GridMaking& s, const Group& group, const GroupRange& found,
                                const quant::QParams& params);

// Adds histogram, SQNR and clipped shares of the values on the grid to `facts`, which has the ends
// of the grid and the range of all data.
void AddDistribution(const quant::ValueStatistics& seen, const quant::QParams& params,
                     const quant::Grid& grid, report::RangeFacts* facts);

}  // namespace roundel::calibration
