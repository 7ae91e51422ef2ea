#include "lib/layers/layer_sweep.h"

namespace roundel::layers {

walk::WalkOptions WalkOptionsOf(const LayerSweep& s) {
  return {.reference = s.session.float_model.get(),
          .samples = s.options.samples,
          .memory_bytes = s.statistics.memory_bytes,
          .spill_folder = "",
          .label = s.options.pass,
          .wanted = {}};
}

}  // namespace roundel::layers
