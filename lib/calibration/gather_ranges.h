#pragma once
// The statistics that the ranges of a placement need, and the placement that follows from them.

#include "lib/calibration/grid_making.h"

namespace roundel::calibration {

// From data or stored statistics. Places again where joins cost their parts too much, and without
// values that no sample reaches.
Status ObserveRanges(GridMaking& s);

// Without data, from what the model says of its values. Places again without values of which
// nothing is known.
Status AnalyzeRanges(GridMaking& s);

}  // namespace roundel::calibration
