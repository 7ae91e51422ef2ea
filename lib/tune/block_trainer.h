#pragma once
// Learns the forms of one block by mini-batches, and keeps the values with the least loss on
// samples that are held out from learning; those of the start if none is better.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lib/base/lanes.h"
#include "lib/base/random.h"
#include "lib/engine/executor.h"
#include "lib/tune/block_model.h"
#include "lib/tune/block_samples.h"
#include "lib/tune/forms_model.h"

namespace roundel::tune {

// If codes are decided one by one, scales, biases and ranges are refined for those of the best point
// at the end, in one more iteration for every kRefining.
inline constexpr int64_t kRefining = 5;

struct TrainSettings {
  int64_t iterations = 1000;
  int64_t batch = 32;                  // units of a mini-batch
  double held_out = 0.2;               // share of the samples (HeldOut)
  bool codes = true;                   // false: only scales, biases and ranges are learned
  bool refine = true;                  // false: scales decide on codes, too, and are not refined
  double penalty = 1;                  // of soft rounding, relative to the loss at the start
  double warm_up = 0.2;                // share of the iterations without penalty
  double sharpest = 20, bluntest = 2;  // exponents of the penalty, from the first to the last
  double drop = 0;                     // DropOptions::probability
  int64_t judgments = 10;              // on held-out units
};

// Runs a block's model on units, in chunks of a fixed size, each on one lane with one thread. Sums
// over chunks are in their order, so that results do not depend on the number of lanes.
class BlockRunner {
 public:
  static Result<BlockRunner> Create(const graph::Model& training, const graph::Model& judging,
                                    const BlockSamples& samples, int64_t batch, Lanes* lanes);
  struct Step {
    double loss = 0;                // mean over the units
    std::vector<Tensor> gradients;  // of the learned values
  };
  // `seed`: of what the model drops, if it drops anything.
  Result<Step> Gradients(const std::vector<Tensor>& values, std::span<const int64_t> units,
                         std::optional<uint64_t> seed);
  Result<double> Loss(const std::vector<Tensor>& values, std::span<const int64_t> units);
  int64_t chunk() const { return chunk_; }

 private:
  using Runs = std::vector<std::unique_ptr<engine::Executor>>;  // by lane
  Result<std::vector<std::vector<Tensor>>> Run(Runs& runs, const std::vector<Tensor>& values,
                                               std::span<const int64_t> units,
                                               std::optional<uint64_t> seed);

  const BlockSamples* samples_ = nullptr;
  Lanes* lanes_ = nullptr;
  int64_t chunk_ = 1;
  Runs training_, judging_;
};

// The units of a mini-batch if there are enough: those of the settings, or fewer, but at least eight,
// if units are large.
// A large image has so many positions that fewer images give the same gradients.
int64_t BatchSize(const BlockSamples& samples, int64_t batch);

struct Trained {
  std::vector<Tensor> learned;             // of the best point
  double loss_before = 0, loss_after = 0;  // on held-out units, of the quantized values
  int64_t iterations = 0, best = 0;        // that ran; after which the best point was reached
  bool diverged = false;                   // a loss that is not finite ended it
};

// `samples`: the units of each (BlockSamples::samples); those of one are all learned from, or all held
// out. `stop`: asked before every iteration; true ends learning early.
Result<Trained> Train(BlockRunner& runner, const FormsModel& model,
                      const std::vector<std::vector<int64_t>>& samples,
                      const TrainSettings& settings, Random random,
                      const std::function<bool()>& stop);

}  // namespace roundel::tune
