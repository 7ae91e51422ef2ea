#pragma once
// Observers turn a stream of values into a range. Memory is constant however much data they see;
// results do not depend on the number of threads. One file per method in lib/quant/observers/.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/quant/grid.h"

namespace roundel::quant {

struct Range {
  double min = 0, max = 0;
};

struct ObserverOptions {
  double percentile = 99.995;  // per cent of the mass kept (percentile)
};

class Observer {
 public:
  virtual ~Observer() = default;
  // Values of one batch in any order. Fails with kData on NaN or infinity.
  virtual Status Observe(std::span<const float> values) = 0;
  // Adds what another observer of the same method saw (tensors that share a range).
  virtual void Merge(const Observer& other) = 0;
  // The range for `grid` from everything seen; {0, 0} if nothing was.
  virtual Range Compute(const Grid& grid) const = 0;
  virtual int64_t count() const = 0;  // values seen
  virtual Range seen() const = 0;     // exact minimum and maximum
};

// kUsage with the nearest name for a method that does not exist.
Result<std::unique_ptr<Observer>> MakeObserver(const std::string& method,
                                               const ObserverOptions& options = {});
std::vector<std::string> ObserverMethods();

}  // namespace roundel::quant
