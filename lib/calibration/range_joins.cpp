#include "lib/calibration/range_joins.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "lib/base/text.h"
#include "lib/targets/own_constants.h"

namespace roundel::calibration {
namespace {

using target::QuantPoint;
using target::ValueJoin;

// Levels of the common grid that a part must keep.
constexpr double kFewLevels = 64, kFewLevelsInLayer = 4;
// The share of its levels that a part with other readers must keep (3 dB), unless it keeps this
// many.
constexpr double kMinShare = 0.7, kManyLevels = 4096;

// Grids always contain zero.
quant::Range WithZero(const quant::Range& range) {
  return {std::min(range.min, 0.0), std::max(range.max, 0.0)};
}
double Width(const quant::Range& range) { return range.max - range.min; }

class JoinSettler {
 public:
  JoinSettler(Session& session, target::Placement placement, const RangeOf& range_of,
              target::RangeDecisions* decisions)
      : session_(session),
        placement_(std::move(placement)),
        range_of_(range_of),
        decisions_(*decisions) {}

  Result<target::Placement> Run() {
    while (FindDecision()) {
      ASSIGN_OR_RETURN(placement_,
                       target::PlaceSeparately(&session_.model, session_.target, session_.grids,
                                               &session_.copies, decisions_));
    }
    return std::move(placement_);
  }

 private:
  // Starts with the last join, because its range covers everything that flows into it. One at a
  // time: a decision changes the groups for the next one.
  bool FindDecision() {
    for (auto join = placement_.joins.rbegin(); join != placement_.joins.rend(); ++join) {
      const QuantPoint* point = PointOf(join->output);
      // floats keep their precision at any magnitude
      if (!point || point->grid.is_float()) continue;
      const double levels = std::ldexp(1.0, point->grid.bits);
      if (LeaveFloat(*join, levels) || SeparatePart(*join, *point, levels)) return true;
    }
    return false;
  }

  const QuantPoint* PointOf(const std::string& value) const {
    const auto it = std::find_if(placement_.points.begin(), placement_.points.end(),
                                 [&](const QuantPoint& p) { return p.value == value; });
    return it == placement_.points.end() ? nullptr : &*it;
  }

  double WidthOf(const std::string& value) const {
    const auto range = range_of_(value);
    return range ? Width(WithZero(*range)) : 0;
  }

  bool LeaveFloat(const ValueJoin& join, double levels) {
    quant::Range all;
    std::string narrowest;
    double least = 0;
    for (const ValueJoin::Part& part : join.parts) {
      const auto range = range_of_(part.value);
      if (!range) continue;
      const double width = Width(WithZero(*range));
      all = {std::min(all.min, range->min), std::max(all.max, range->max)};
      if (width > 0 && (narrowest.empty() || width < least)) least = width, narrowest = part.value;
    }
    if (narrowest.empty()) return false;
    const double kept = levels * least / Width(all);
    if (kept >= std::min(levels / 4, join.feeds_layer ? kFewLevelsInLayer : kFewLevels))
      return false;
    std::string why = StrCat("joins parts of too different ranges: of ", levels, " levels '",
                             narrowest, "' would have ", std::round(10 * kept) / 10);
    return decisions_.floats.emplace(join.output, std::move(why)).second;
  }

  bool SeparatePart(const ValueJoin& join, const QuantPoint& point, double levels) {
    quant::Range all;
    for (const QuantPoint& other : placement_.points) {
      if (other.group != point.group) continue;
      if (const auto range = range_of_(other.value))
        all = {std::min(all.min, range->min), std::max(all.max, range->max)};
    }
    for (const ValueJoin::Part& part : join.parts) {
      const QuantPoint* own = PointOf(part.value);
      if (!part.read_elsewhere || !own || own->group != point.group) continue;
      const double width = WidthOf(part.value);
      const double share = width / Width(all);
      if (!(width > 0) || share >= kMinShare || share * levels >= kManyLevels) continue;
      if (!decisions_.apart.emplace(join.output, part.value).second) continue;
      session_.report->Add(part.value, "own range",
                           StrCat("the range of '", join.output, "', which it is joined into, is ",
                                  std::round(10 / share) / 10, " times as wide"));
      return true;
    }
    return false;
  }

  Session& session_;
  target::Placement placement_;
  const RangeOf& range_of_;
  target::RangeDecisions& decisions_;
};

}  // namespace

Result<target::Placement> SettleJoins(Session& session, target::Placement placement,
                                      const RangeOf& range_of, target::RangeDecisions* decisions) {
  return JoinSettler(session, std::move(placement), range_of, decisions).Run();
}

}  // namespace roundel::calibration
