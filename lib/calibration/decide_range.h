#pragma once
// The range of one group of points.

#include "lib/calibration/grid_making.h"

namespace roundel::calibration {

struct GroupRange {
  quant::Grid grid;
  quant::Decision decision;  // without a method if no value of the group was observed
  ScoreRanges::Unmasked unmasked;
  bool whole = false;  // QuantPoint::whole_range
};

// What the data says about a group's range. Unites the statistics of the group in `seen`.
GroupRange DecideRange(const GridMaking& s, const Group& group, quant::CalibrationStatistics* seen);

// The range that also contains what needs no data: fixed ranges and constants of the group.
Result<quant::Range> WithConstants(GridMaking& s, const Group& group, const GroupRange& found);

}  // namespace roundel::calibration
