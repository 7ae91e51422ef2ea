#include "lib/calibration/unknown_ranges.h"

#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/operators.h"
#include "lib/targets/own_constants.h"

namespace roundel::calibration {
namespace {

using quant::Role;
using target::QuantPoint;

// Groups that need data, of which there is none.
std::set<int> UnknownGroups(const target::Placement& placement, const KnownRanges& known) {
  const auto frozen = [&](const QuantPoint& point) {
    const auto it = known.table.find(point.value);
    return it != known.table.end() && it->second.frozen;
  };
  std::set<int> known_groups, unknown;
  for (const QuantPoint& point : placement.points)
    if (frozen(point) || (NeedsData(point) && known.seen.values.contains(point.value)))
      known_groups.insert(point.group);
  for (const QuantPoint& point : placement.points)
    if (NeedsData(point) && known.asked.contains(point.value) &&
        !known_groups.contains(point.group))
      unknown.insert(point.group);
  return unknown;
}

// Removes the points of `groups`, and those of biases, whose scale is that of their layer's input.
void Drop(const std::set<int>& groups, target::Placement* placement) {
  std::set<std::string> left;
  for (const QuantPoint& point : placement->points)
    if (groups.contains(point.group)) left.insert(point.value);
  std::erase_if(placement->points, [&](const QuantPoint& point) {
    return groups.contains(point.group) ||
           (point.role == Role::kBias && left.contains(point.bias_input));
  });
}

// If the target has no layers with float inputs, these layers run elsewhere, if at all.
void WarnOfFloatLayers(const target::Placement& placement, Session* session) {
  const std::set<std::string>& modes = session->target.modes;
  if (modes.empty() || modes.contains("float")) return;
  const auto layers = std::count_if(placement.float_nodes.begin(), placement.float_nodes.end(),
                                    [](const target::FloatNode& node) {
                                      return graph::Has(node.op_type, graph::Fact::kLayer) &&
                                             node.reason.starts_with("the range of its");
                                    });
  if (layers > 0)
    session->report->warnings.push_back(StrCat(
        layers, layers == 1 ? " layer stays" : " layers stay",
        " float because ranges are unknown, and '", session->target.name,
        "' runs no float layers: calibrate on data that reaches ", layers == 1 ? "it" : "them"));
}

}  // namespace

bool NeedsData(const QuantPoint& point) {
  return point.role == Role::kActivation && !point.derived && !point.fixed_range;
}

Result<std::vector<std::string>> LeaveUnknownFloat(Session& session, const KnownRanges& known,
                                                   const std::string& why,
                                                   const std::function<Status()>& gather,
                                                   target::RangeDecisions* decisions,
                                                   target::Placement* placement) {
  std::vector<std::string> values;
  for (;;) {
    const std::set<int> unknown = UnknownGroups(*placement, known);
    const size_t before = decisions->unknown_ranges.size();
    for (const QuantPoint& point : placement->points) {
      if (!unknown.contains(point.group) || !NeedsData(point)) continue;
      if (!decisions->unknown_ranges.insert(point.value).second) continue;
      values.push_back(point.value);
      session.report->Add(point.value, "left float", why);
    }
    if (decisions->unknown_ranges.size() == before) {
      Drop(unknown, placement);
      if (!values.empty()) WarnOfFloatLayers(*placement, &session);
      return values;
    }
    ASSIGN_OR_RETURN(*placement,
                     target::PlaceSeparately(&session.model, session.target, session.grids,
                                             &session.copies, *decisions));
    RETURN_IF_ERROR(gather());
  }
}

}  // namespace roundel::calibration
