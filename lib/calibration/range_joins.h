#pragma once
// Which parts of a Concat may share a range, once the ranges are known.

#include <functional>
#include <optional>
#include <string>

#include "lib/quant/statistics.h"
#include "lib/session/session.h"

namespace roundel::calibration {

// The range that a value would have of its own; nullopt if nothing is known of it.
using RangeOf = std::function<std::optional<quant::Range>(const std::string& value)>;

// Places quantizers again, if need be, until no join costs its parts too much:
//
//   - a part that would keep too few levels of the common grid leaves the join without one. Where
//     nothing but element-wise ops, movers and outputs lie behind, that is below a quarter of eight
//     bits: boxes in pixels beside scores are such a case. A layer that reads the result needs the
//     grid to run in integers, and becomes float only if next to nothing of the part would be left;
//   - a part that others read as well keeps its own grid, if it is much finer than the common one,
//   and
//     is requantized on the way in. Without other readers sharing is better: one rounding, not two.
//
// Each decision goes to the session's report, and to `decisions`, which hold those made before.
Result<target::Placement> SettleJoins(Session& session, target::Placement placement,
                                      const RangeOf& range_of, target::RangeDecisions* decisions);

}  // namespace roundel::calibration
