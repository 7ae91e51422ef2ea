#pragma once
// A data source of the first samples of another one, for checks that need only a few samples.

#include <algorithm>
#include <optional>

#include "lib/tensor/data_source.h"

namespace roundel {

// The first `count` samples of a batch. A batch is returned whole if axis 0 of an input is not the
// sample axis.
Batch FirstOf(const Batch& batch, int64_t count);

class FirstSamples final : public DataSource {
 public:
  // `source` is not owned, and is rewound by Rewind().
  FirstSamples(DataSource& source, int64_t count) : source_(source), count_(count) {}

  int64_t size() const override { return std::min(count_, source_.size()); }
  Status Rewind() override;
  // The last batch is shortened if it has more samples than remain.
  Result<std::optional<Batch>> Next() override;
  int64_t skipped() const override { return source_.skipped(); }

 private:
  DataSource& source_;
  const int64_t count_;
  int64_t taken_ = 0;
};

}  // namespace roundel
