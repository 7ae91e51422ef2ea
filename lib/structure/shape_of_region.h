#pragma once
// What a region looks like, as far as it decides where blocks end.

#include "lib/structure/regions.h"

namespace roundel::structure {

enum class Ending {
  kPlain,     // one layer, or a chain
  kGate,      // a product of branches: squeeze and excite
  kResidual,  // a sum of branches, or a norm of such a sum
  kJoin,      // branches that are put together otherwise, or not at all
};

Ending EndingOf(const Flow& flow, const Regions& regions, const Region& region);
int64_t CountLayers(const Flow& flow, const Regions& regions, const Region& region);
// Whether what follows the region's last layer, if it has one, is more than a linear map or a
// selection.
bool HasActivation(const Flow& flow, const Regions& regions, const Region& region);

// Whether it pools all positions of a map into one.
bool PoolsAll(const Flow& flow, const Regions& regions, const Region& region);

}  // namespace roundel::structure
