#pragma once
// What a report says of a chosen range.

#include "lib/calibration/decide_range.h"
#include "lib/report/details.h"

namespace roundel::calibration {

// Requires that DecideRange united the statistics of the group.
report::RangeFacts RangeFactsOf(const GridMaking& s, const Group& group, const GroupRange& found,
                                const quant::QParams& params);

}  // namespace roundel::calibration
