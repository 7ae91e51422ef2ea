#pragma once
// The common part of passes that learn by gradients: the walk over the blocks of a model. Each pass
// supplies the forms.
//
// A block's inputs come from the model with all blocks before it quantized; its targets are the
// values of the float model. The result of a block is applied before the next one is learned.

#include <functional>
#include <string>
#include <vector>

#include "lib/layers/layerwise.h"
#include "lib/session/session.h"
#include "lib/structure/blocks.h"
#include "lib/tune/block_trainer.h"
#include "lib/tune/ranges.h"

namespace roundel::tune {

struct TuneOptions {
  std::string pass;                            // the name in encodings and progress
  std::string settings;                        // the parameters, for the store
  int64_t samples = 0;                         // 0: all
  int64_t memory_bytes = int64_t{2000} << 20;  // for stored values; the rest goes to a file
  structure::BlockOptions blocks;
  TrainSettings train;
  LossChoice loss = LossChoice::kSquared;
  // Beyond 0: the results of the residual blocks inside of a block are targets, too, with this weight
  // in all. Results are judged by the ends alone.
  double hidden = 0;
  // Blocks compute with quantized activations, whose ranges are learned at these rates. Requires:
  // session.placement.
  bool activations = false;
  RangeRates range_rates;
  double minutes = 0;  // 0: no limit
  // How layers without codes are solved when their block comes, before it learns; without a solver
  // they stay as they are.
  layers::LayerwiseOptions start;
  layers::SolveLayer solve;
};

// The forms of a block; none: the block stays as it is. `layers`: indices into block.layers, of those
// whose codes may change. `iterations`: how many steps will be made.
using MakeForms = std::function<Result<std::vector<FormPtr>>(
    const structure::Block& block, const std::vector<size_t>& layers, int64_t iterations)>;

// Learns every block. Layers whose weights have a grid but no codes are solved first (`solve`).
// Requires: weights have encodings. Errors: those of running the model; kUsage
// if `minutes` is too short for one iteration of each block.
Result<Outcome> TuneBlocks(Session& session, const TuneOptions& options, const MakeForms& forms);

}  // namespace roundel::tune
