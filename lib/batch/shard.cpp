#include "lib/batch/shard.h"

#include <charconv>
#include <cstdlib>

#include "lib/base/text.h"

namespace roundel::batch {
namespace {

constexpr int kMostShards = 10'000'000;

std::optional<int> Number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

struct Variables {
  const char *index, *count, *least;  // least: the index of the first part; nullptr: 0
};
// An array in which MPI ranks run is an array of such groups: the ranks come first.
constexpr Variables kSchedulers[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", nullptr},
    {"PMI_RANK", "PMI_SIZE", nullptr},
    {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"}};

}  // namespace

Result<Shard> ParseShard(const std::string& text) {
  const std::vector<std::string> parts = Split(text, '/');
  if (parts.size() == 2) {
    const auto index = Number(parts[0]), count = Number(parts[1]);
    if (index && count && *count > 0 && *count <= kMostShards && *index < *count)
      return Shard{*index, *count, "--shard"};
  }
  return UsageError(StrCat("--shard must be a part and their number, from 0/8 to 7/8, not '",
                           Printable(text), "'"));
}

Result<Shard> ShardOfScheduler(const std::function<std::string(const char*)>& variable) {
  for (const Variables& names : kSchedulers) {
    const std::string index_text = variable(names.index), count_text = variable(names.count);
    if (index_text.empty() || count_text.empty()) continue;
    const auto index = Number(index_text), count = Number(count_text);
    const std::string least_text = names.least == nullptr ? "" : variable(names.least);
    const int least = Number(least_text).value_or(0);
    if (!index || !count || *index < least || *index - least >= *count)
      return UsageError(StrCat(names.index, "=", Printable(index_text), " and ", names.count, "=",
                               Printable(count_text),
                               " name no part; give --shard, or number an array without gaps"));
    return Shard{*index - least, *count, names.index};
  }
  return Shard{};
}

Result<Shard> ShardOfScheduler() {
  return ShardOfScheduler([](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  });
}

}  // namespace roundel::batch
