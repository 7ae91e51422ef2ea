#pragma once
// Decides which parts of a Concat share a range, once the ranges are known.

#include <functional>
#include <optional>
#include <string>

#include "lib/quant/statistics.h"
#include "lib/session/session.h"

namespace roundel::calibration {

// The range of a value by itself; nullopt if it is unknown.
using RangeOf = std::function<std::optional<quant::Range>(const std::string& value)>;

// Repeats placement until no join leaves its parts too few levels:
//
//   - a part that would keep too few levels of the common grid leaves the join without one. Where
//     nothing but element-wise ops, movers and outputs follow, that is below a quarter of eight
//     bits: boxes in pixels next to scores are such a case. A layer that reads the result needs the
//     grid to run in integers, and becomes float only if almost nothing of the part would be left;
//   - a part that others read as well keeps its own grid, if it is much finer than the common one,
//   and
//     is requantized on the way in. Without other readers sharing is better: one rounding, not two.
//
// Adds each decision to the session's report and to `decisions`, which hold earlier decisions.
Result<target::Placement> SettleJoins(Session& session, target::Placement placement,
                                      const RangeOf& range_of, target::RangeDecisions* decisions);

}  // namespace roundel::calibration
