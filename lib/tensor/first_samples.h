#pragma once
// The first samples of a data source as a data source: for proofs and checks that need only a few.

#include <algorithm>
#include <optional>

#include "lib/tensor/data_source.h"

namespace roundel {

// Cuts the first `count` samples off a batch. A batch with an input whose axis 0 does not count
// samples is returned whole.
Batch FirstOf(const Batch& batch, int64_t count);

class FirstSamples final : public DataSource {
 public:
  // `source` is not owned, and is rewound by Rewind().
  FirstSamples(DataSource& source, int64_t count) : source_(source), count_(count) {}

  int64_t size() const override { return std::min(count_, source_.size()); }
  Status Rewind() override;
  // The last batch is cut where it has more samples than are left.
  Result<std::optional<Batch>> Next() override;
  int64_t skipped() const override { return source_.skipped(); }

 private:
  DataSource& source_;
  const int64_t count_;
  int64_t taken_ = 0;
};

}  // namespace roundel
