#include "lib/batch/shard.h"

#include <map>

#include "tests/support/catch.h"

using namespace roundel;
using namespace roundel::batch;

namespace {

Result<Shard> Of(const std::map<std::string, std::string>& variables) {
  return ShardOfScheduler([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  });
}

bool Is(const Result<Shard>& shard, int index, int count) {
  return shard.ok() && shard->index == index && shard->count == count;
}

}  // namespace

TEST_CASE("a shard is a part and the number of parts") {
  CHECK(Is(ParseShard("0/1"), 0, 1));
  CHECK(Is(ParseShard("7/8"), 7, 8));
  for (const char* text : {"", "3", "8/8", "-1/8", "1/0", "a/b", "1/2/3", "1 / 2", "0/99999999999"})
    CHECK(ParseShard(text).status().kind() == ErrorKind::kUsage);
}

TEST_CASE("schedulers name the part by their variables") {
  CHECK(Is(Of({}), 0, 1));
  CHECK(Is(Of({{"SLURM_ARRAY_TASK_ID", "3"}, {"SLURM_ARRAY_TASK_COUNT", "4"}}), 3, 4));
  CHECK(Is(Of({{"SLURM_ARRAY_TASK_ID", "4"},
               {"SLURM_ARRAY_TASK_COUNT", "4"},
               {"SLURM_ARRAY_TASK_MIN", "1"}}),
           3, 4));
  CHECK(Is(Of({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "3"}}), 1, 3));
  CHECK(Is(Of({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}}), 0, 2));
  CHECK(Is(Of({{"SLURM_ARRAY_TASK_ID", "3"}}), 0, 1));  // no array of a known size
  // An array with gaps (--array=0-9:3) has ids beyond the number of its tasks.
  CHECK(Of({{"SLURM_ARRAY_TASK_ID", "9"}, {"SLURM_ARRAY_TASK_COUNT", "4"}}).status().kind() ==
        ErrorKind::kUsage);
  CHECK(Of({{"PMI_RANK", "x"}, {"PMI_SIZE", "2"}}).status().kind() == ErrorKind::kUsage);
}

TEST_CASE("every job is in exactly one shard") {
  constexpr int kShards = 3;
  for (size_t job = 0; job < 20; ++job) {
    int in = 0;
    for (int index = 0; index < kShards; ++index) in += InShard({index, kShards, ""}, job);
    CHECK(in == 1);
  }
}
