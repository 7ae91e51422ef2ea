#pragma once
// Values whose range is not known: of which no batch normalisation tells anything, or to which no
// sample of the data gives a value. They stay float, and so do the operators beside them, for one
// without its quantizers on both sides runs in float on dequantized inputs: layers keep codes for
// their weights only.

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "lib/quant/calibration_statistics.h"
#include "lib/quant/encodings.h"
#include "lib/session/session.h"
#include "lib/targets/profile.h"

namespace roundel::calibration {

// Whether the point's range follows from statistics of its value.
bool NeedsData(const target::QuantPoint& point);

// What is known about ranges.
struct KnownRanges {
  const quant::CalibrationStatistics& seen;
  const std::set<std::string>& asked;  // values whose statistics were gathered
  const quant::EncodingTable& table;   // holds those that an earlier pass fixed
};

// Places again without the values of which nothing was seen, until all that is placed has a range.
// `gather` sees to the statistics that a new placement asks for. Adds to `decisions`, which hold
// those made before, and to the session's report, with `why`. The values without a range, each
// once; a group of which some values are always empty is known by the others.
Result<std::vector<std::string>> LeaveUntold(Session& session, const KnownRanges& known,
                                             const std::string& why,
                                             const std::function<Status()>& gather,
                                             target::RangeDecisions* decisions,
                                             target::Placement* placement);

}  // namespace roundel::calibration
