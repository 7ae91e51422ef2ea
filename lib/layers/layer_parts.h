#pragma once
// One pass over layers that several processes divide (Session::part). Each works on some of the
// layers and leaves sums or solutions in the store; a later run finds them there. Only layers whose
// inputs come from the float model can be divided: the others depend on the codes of earlier ones.

#include "lib/layers/layer_sweep.h"

namespace roundel::layers {

bool SumsOnly(const LayerSweep& s);

// Marks the layers that belong to other parts. Parts take about the same time, layers that share
// weights stay together, and the division depends on the layers and the first batch alone. Errors:
// kUsage if the layers depend on one another.
Status TakePart(LayerSweep& s);

// Checks that the store does not hold parts of this model's layers for other data or settings, and,
// unless this run is a part, that none is missing. Errors: kData.
Status CheckParts(const LayerSweep& s);

// Notes in the store that the part is complete, and in the report what it was.
Status RecordPart(const LayerSweep& s);

// The store `to` gets all results of `from`. Errors: kData if one holds parts of other data or
// settings for the same model.
Status MergeStores(const Store& from, const Store& to, int64_t* copied);
// Errors: kData, naming them, if parts are missing.
Status CheckComplete(const Store& store);

}  // namespace roundel::layers
