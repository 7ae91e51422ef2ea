#pragma once
// Runs jobs side by side, each in a process of its own.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/batch/child.h"

namespace roundel::batch {

struct Share {
  int threads = 1;
  int64_t memory = 0;  // bytes
};

struct Launch {
  std::vector<std::string> args;
  std::string log;
  ChildLimits limits;
};

enum class Claim { kMine, kDone, kBusy };  // kBusy: another process works on it

// What the pool asks of its owner. Jobs are numbers.
class PoolOwner {
 public:
  virtual ~PoolOwner() = default;
  virtual Claim TryClaim(size_t job) = 0;
  // What the job asks for; 0: an equal share. With more than there is it runs
  // alone.
  virtual int64_t MemoryOf(size_t job) = 0;
  virtual Result<Launch> Prepare(size_t job, const Share& share) = 0;
  // True if the job must be run once more, after the others. Errors end the
  // batch: its folder cannot be written.
  virtual Result<bool> Finished(size_t job, const Share& share, const ChildEnd& end) = 0;
  virtual Status CouldNotStart(size_t job, const Status& why) = 0;
  // Whether no further job must be started.
  virtual bool Stops() const = 0;
  // Called at least every second.
  virtual Status Tick() = 0;
};

struct PoolOptions {
  int jobs = 1;
  Share all;  // of the machine, to be divided
};

// Starts the jobs in this order, as far as claims and memory allow. Errors:
// kInterrupted after a signal, when all processes have stopped.
Status RunPool(const PoolOptions& options, const std::vector<size_t>& order, PoolOwner* owner);

}  // namespace roundel::batch
