// --shard and --sums-only: one model over several processes. Each leaves the results of its layers
// in the store; the last run finds them there.

#include <nlohmann/json.hpp>

#include "cmd/job.h"
#include "cmd/job_state.h"
#include "cmd/outputs.h"
#include "lib/base/text.h"
#include "lib/batch/shard.h"

namespace roundel::cmd {
namespace {

int64_t MetricOf(const report::PassReport& pass, const std::string& name) {
  for (const auto& [key, value] : pass.metrics)
    if (const auto* number = std::get_if<int64_t>(&value); number && key == name) return *number;
  return 0;
}

void Print(const JobState& s, const std::string& store, Console& console) {
  const LayerPart& part = *s.session.part;
  const report::PassReport& pass = s.report.passes.back();
  const int64_t mine = MetricOf(pass, "part_layers"), all = MetricOf(pass, "all_layers");
  double seconds = 0;
  for (const report::PassReport& each : s.report.passes) seconds += each.seconds;
  if (console.json)
    console.out << nlohmann::ordered_json{{"part", part.index},          {"parts", part.count},
                                          {"sums_only", part.sums_only}, {"layers", mine},
                                          {"all_layers", all},           {"store", store},
                                          {"seconds", seconds}}
                       .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                << "\n";
  else if (!console.quiet)
    console.out << "part " << part.index << "/" << part.count << ": "
                << (part.sums_only ? "sums" : "solutions") << " of " << mine << " of " << all
                << " layers in " << store << StrFormat(", %.1f s", seconds) << "\n";
}

}  // namespace

Result<std::optional<LayerPart>> PartOf(const JobFlags& flags) {
  if (flags.shard.empty() && !flags.sums_only) return std::optional<LayerPart>();
  if (flags.store.empty() && !flags.resume)
    return UsageError(
        "--shard and --sums-only need --store DIR, where a later run finds the results");
  if (!flags.html.empty() || !flags.stats_out.empty())
    return UsageError(
        "--shard and --sums-only write only the store: leave out --html, --stats-out");
  if (!flags.metric.command.empty() || flags.metric.gates())
    return UsageError("--shard and --sums-only write no model that a metric command could measure");
  ASSIGN_OR_RETURN(const batch::Shard shard, flags.shard.empty() ? batch::ShardOfScheduler()
                                                                 : batch::ParseShard(flags.shard));
  return std::optional(LayerPart{shard.index, shard.count, flags.sums_only});
}

Status RunPart(const recipe::Recipe& recipe, const std::string& store, const LayerPart& part,
               Console& console) {
  if (store.empty()) return UsageError("--resume needs -o OUT.onnx; or give --store DIR");
  JobState s{.recipe = recipe, .console = console};
  s.session.part = part;
  ASSIGN_OR_RETURN(JobInputs inputs, LoadJobInputs(recipe, true));
  RETURN_IF_ERROR(ComputeJob(s, store, std::move(inputs)));
  Print(s, store, console);
  return OkStatus();
}

}  // namespace roundel::cmd
