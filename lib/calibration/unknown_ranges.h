#pragma once
// Values with unknown range: no batch normalization determines it, or no sample gives the value an
// element. They stay float. So do the operators that read or write them, because without
// quantizers on both sides they run in float on dequantized inputs: layers keep codes for their
// weights only.

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "lib/quant/calibration_statistics.h"
#include "lib/quant/encodings.h"
#include "lib/session/session.h"
#include "lib/targets/profile.h"

namespace roundel::calibration {

// Whether the range of the point comes from statistics of its value.
bool NeedsData(const target::QuantPoint& point);

// The known ranges.
struct KnownRanges {
  const quant::CalibrationStatistics& seen;
  const std::set<std::string>& asked;  // values whose statistics were gathered
  const quant::EncodingTable& table;   // includes those that an earlier pass fixed
};

// Repeats placement without the values of unknown range, until all points have a range. `gather`
// gathers the statistics that a new placement needs. Adds to `decisions`, which hold earlier
// decisions, and to the session's report, with `why`. Returns the values without a range, each
// once. A group has a range if one of its values has.
Result<std::vector<std::string>> LeaveUnknownFloat(Session& session, const KnownRanges& known,
                                                   const std::string& why,
                                                   const std::function<Status()>& gather,
                                                   target::RangeDecisions* decisions,
                                                   target::Placement* placement);

}  // namespace roundel::calibration
