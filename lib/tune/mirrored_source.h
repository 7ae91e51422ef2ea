#pragma once
// Twice the images: every batch is followed by the same batch mirrored left to right.

#include <optional>
#include <string>
#include <utility>

#include "lib/tensor/data_source.h"

namespace roundel::tune {

class MirroredSource : public DataSource {
 public:
  // `source` must outlive this object. Tensors of floats with four axes are mirrored along the last
  // one; others stay.
  explicit MirroredSource(DataSource& source) : source_(source) {}
  int64_t size() const override { return 2 * source_.size(); }
  Status Rewind() override;
  Result<std::optional<Batch>> Next() override;
  int64_t skipped() const override { return source_.skipped(); }

 private:
  DataSource& source_;
  std::optional<Batch> mirrored_;  // of the last batch, to come next
};

}  // namespace roundel::tune
