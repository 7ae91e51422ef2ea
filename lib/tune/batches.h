#pragma once
// Mini-batches without replacement: every unit once, in a new order, before any comes again.

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "lib/base/random.h"

namespace roundel::tune {

class Batches {
 public:
  // Requires: at least one unit. Batches are not larger than the number of units.
  Batches(std::vector<int64_t> units, int64_t size, Random random)
      : units_(std::move(units)),
        size_(std::min<size_t>(static_cast<size_t>(size), units_.size())),
        next_(units_.size()),
        random_(random) {}

  // Valid until the next call.
  std::span<const int64_t> Next() {
    if (next_ + size_ > units_.size()) {
      random_.Shuffle(units_);
      next_ = 0;
    }
    next_ += size_;
    return std::span(units_).subspan(next_ - size_, size_);
  }

 private:
  std::vector<int64_t> units_;
  size_t size_, next_;
  Random random_;
};

}  // namespace roundel::tune
