#pragma once
// The samples of one block: its inputs in the quantized model and its targets in the float model,
// read in any order.

#include <span>
#include <string>
#include <vector>

#include "lib/walk/streams.h"

namespace roundel::tune {

class BlockSamples {
 public:
  // `inputs`: from the stream of the quantized model, and with `reference` from that of the float
  // model, too; `targets`: from the latter.
  // `apart`: samples are independent (SamplesApart); otherwise a unit is a whole batch. Requires: the
  // streams keep these values.
  BlockSamples(const walk::Streams& streams, const std::vector<std::string>& inputs,
               const std::vector<std::string>& targets, bool reference, bool apart);

  // The number of units, which are single samples or whole batches.
  int64_t units() const { return std::ssize(units_); }
  // The units that show one sample in different views, by sample; whole batches count as samples.
  std::vector<std::vector<int64_t>> samples() const;
  // Whether several units can be joined: single samples of one shape.
  bool joinable() const { return joinable_; }
  // Elements of the largest value of a unit.
  int64_t largest() const { return largest_; }
  // The inputs (of each stream), then the targets, of these units, joined along axis 0. Requires: one unit unless
  // joinable(). Thread-safe.
  Result<std::vector<Tensor>> Load(std::span<const int64_t> units) const;
  // Mean squares of each target over all samples. Errors: those of reading them.
  Result<std::vector<double>> TargetPowers() const;

 private:
  struct Unit {
    size_t batch;
    int64_t row;
  };
  std::vector<const std::vector<walk::StoredValuePtr>*> values_;  // inputs, then targets
  std::vector<bool> rows_;  // by value: whether each sample has a row
  size_t inputs_;
  bool apart_, joinable_;
  const size_t views_;
  int64_t largest_ = 0;
  std::vector<Unit> units_;
};

}  // namespace roundel::tune
