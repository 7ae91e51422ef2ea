#include "lib/calibration/grid_making.h"

namespace roundel::calibration {

using quant::Encoding;
using target::QuantPoint;

void CollectGroups(GridMaking& s) {
  s.groups.clear();
  for (const QuantPoint& point : s.placement->points)
    if (point.group >= 0) s.groups[point.group].push_back(&point);
}

const Encoding* FrozenMember(const GridMaking& s, const Group& group) {
  for (const QuantPoint* point : group)
    if (const auto it = s.table->find(point->value); it != s.table->end() && it->second.frozen)
      return &it->second;
  return nullptr;
}

}  // namespace roundel::calibration
