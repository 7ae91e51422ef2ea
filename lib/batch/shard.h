#pragma once
// A part of a batch, for one of several processes that divide it.

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "lib/base/status.h"

namespace roundel::batch {

// Part `index` of `count`, counted from 0.
struct Shard {
  int index = 0, count = 1;
  std::string from;  // the variable that says so, or "--shard"; "" for the whole
};

// "2/8" counts from 0 to 7. Errors: kUsage.
Result<Shard> ParseShard(const std::string& text);

// The part that a scheduler has given to this process: the index of a Slurm array, or the rank
// under Open MPI or another MPI. `variable`: "" if unset. Errors: kUsage if the variables contradict
// one another.
Result<Shard> ShardOfScheduler(const std::function<std::string(const char*)>& variable);
Result<Shard> ShardOfScheduler();  // from the environment

// Whether the job belongs to the part. Shards are dealt in turns over the jobs ordered by size, so
// that they take about the same time.
inline bool InShard(const Shard& shard, size_t position) {
  return position % static_cast<size_t>(shard.count) == static_cast<size_t>(shard.index);
}

}  // namespace roundel::batch
