#pragma once
// Which loss each target of a block has.

#include <set>
#include <span>
#include <string>
#include <vector>

#include "lib/tune/block_samples.h"
#include "lib/tune/tuning.h"

namespace roundel::tune {

// The loss of a value of `shape` that block `index` computes. LossChoice::kDivergence means values
// that no later block reads.
LossKind KindOf(const Tuning& s, size_t index, const std::string& value, const Shape& shape);

// Of the targets of block `index`: those of its end share 1, those inside TuneOptions::hidden.
Result<std::vector<TargetLoss>> LossesOf(const Tuning& s, size_t index,
                                         const walk::Streams& streams, const BlockSamples& samples);

// Makes the targets of residual blocks inside of each block targets of that block. Returns their
// names.
std::set<std::string> AddHiddenTargets(const graph::Model& model,
                                       const structure::BlockOptions& options,
                                       std::vector<structure::Block>* blocks);

// The loss of values that come in parts: relative squared error, or mean divergence of rows.
class LossSum {
 public:
  LossSum(LossKind kind, int64_t classes) : kind_(kind), classes_(classes) {}
  // Requires: whole rows of classes.
  void Add(std::span<const float> reference, std::span<const float> quantized);
  double value() const { return power_ > 0 ? error_ / power_ : error_; }

 private:
  const LossKind kind_;
  const int64_t classes_;
  double error_ = 0, power_ = 0;  // power_: rows, of divergences
};

}  // namespace roundel::tune
