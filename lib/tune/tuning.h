#pragma once
// What the steps share that learn one block after the other, and what one block needs.

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/lanes.h"
#include "lib/tune/block_store.h"
#include "lib/tune/tune_blocks.h"
#include "lib/walk/streams.h"

namespace roundel::tune {

struct Tuning {
  Session& session;
  const TuneOptions& options;
  const MakeForms& make_forms;
  Lanes lanes;
  std::vector<structure::Block> blocks = {};
  std::set<std::string> hidden = {};  // targets inside of blocks
  BlockStore store = {};
  // Encodings that the walk applies: of weights, and of activations if blocks compute with them.
  quant::EncodingTable stream = {};
  std::vector<double> seconds = {};  // of one iteration, by block; 0: nothing is learned
  int64_t iterations = 0;            // of each block
  int64_t solved = 0;                // layers that had no codes
  int64_t learned = 0, kept = 0, declined = 0, diverged = 0;
  double before = 0, after = 0;  // sums of losses
};

// The folder for values that do not fit into memory; "": that of the system.
std::string SpillFolder(const Tuning& s);

// The forms of block `index`, empty if nothing can be learned. `report`: for the layers that are
// declined; nullptr to say nothing.
Result<std::vector<FormPtr>> FormsOf(Tuning& s, size_t index, report::PassReport* report);

// All that learning a block needs; `forms` must outlive it.
struct Workbench {
  std::optional<BlockSamples> samples;
  std::optional<BlockRunner> runner;
  std::optional<FormsModel> model;
  int64_t batch = 0;  // units of a mini-batch
};
// `part`: of the block, in `streams`. Errors: those of the block's model.
Status Prepare(Tuning& s, size_t index, const walk::Stretches::Part& part,
               const walk::Streams& streams, const std::vector<FormPtr>& forms, Workbench* bench);

// Measures an iteration of each block on the first batch, says how long the pass will take, and sets
// the number of iterations. Errors: kUsage if the time is too short for one.
Status EstimateTime(Tuning& s);

}  // namespace roundel::tune
