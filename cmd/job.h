#pragma once
// One quantization as a recipe describes it: the common part of `quantize` and `run`.

#include <optional>
#include <string>
#include <vector>

#include "cmd/command.h"
#include "cmd/loading.h"
#include "cmd/metric_gates.h"
#include "lib/base/status.h"
#include "lib/recipe/recipe.h"
#include "lib/report/report.h"
#include "lib/session/session.h"
#include "lib/targets/float_types.h"
#include "lib/targets/profile.h"

namespace roundel::cmd {

struct JobState;
struct OutputNames;

struct JobFlags {
  bool dry_run = false, print_recipe = false;
  // these set the keys of the recipe of the same name
  bool keep_initializer_inputs = false, requantize = false;
  std::vector<std::string> shorthands;  // --bits, --method and others, as assignments of --set
  std::vector<std::string> overrides;   // --set
  std::vector<std::string> stats_in;    // --stats-in, --stats-out: for every calibrate step
  std::string stats_out;
  // Keep solved layers in the folder `store`, and reuse those that it holds. If `store` is "" and
  // `resume` is set, the folder is next to the output.
  bool resume = false;
  std::string store;
  // Work on a part of the layers only, and leave the results in the store.
  std::string shard;  // "1/3"; "" with sums_only: the scheduler's part
  bool sums_only = false;
  std::string html;    // the report as a page; "" for none
  MetricFlags metric;  // measured on the written model; of the command line, never of a file
};

// What --set says ("weights.bits=4") overrides the recipe.
Status ApplyAssignments(const std::vector<std::string>& assignments, recipe::Recipe* recipe);

// Applies the overrides, then prints the recipe, plans, or runs it.
Status RunJob(recipe::Recipe recipe, const JobFlags& flags, Console& console);

// ---- shared by the parts of a job (job.cpp, plan.cpp, summary.cpp)

struct JobInputs {
  LoadedModel loaded;
  target::FloatTypes types;  // of the model in the file; `loaded` is in float32
  int64_t weight_bytes = 0;  // in the file
  target::Profile profile;
  target::GridChoice grids;
  std::vector<std::string> warnings;  // about the model
  bool runnable = true;               // by the engine
  std::vector<std::string> encodings_versions;
  std::string encodings_note;  // message about them
};
// Loads the model of a job. `runs`: the recipe will be run; then nodes that the engine does not
// support are an error if a step runs the model.
// `loaded`: the model, if it is in memory already.
Result<JobInputs> LoadJobInputs(const recipe::Recipe& recipe, bool runs,
                                const LoadedModel* loaded = nullptr);

// --dry-run: which tensors would get which grid and which nodes stay float, without data.
Status PlanJob(const recipe::Recipe& recipe, Console& console);

// "32 activations, 21 weights, 21 biases".
std::string CountText(int64_t activations, int64_t weights, int64_t biases);
// Float nodes by reason, largest group first: "3 Softmax: reason".
std::vector<std::string> FloatNodeLines(const std::vector<report::Record>& nodes);

struct WrittenFile {
  std::string path;
  int64_t bytes = 0;
};
// All of a job but writing. Gates that failed are in the report (eval::GateStatus).
Status ComputeJob(JobState& s, const std::string& store, JobInputs inputs);
// Requires that ComputeJob has succeeded. May be called again.
Result<std::vector<WrittenFile>> WriteJob(JobState& s, const OutputNames& names);
// The part of the layers that the flags ask for; nullopt: a whole job. Errors: kUsage.
Result<std::optional<LayerPart>> PartOf(const JobFlags& flags);
// Runs the recipe up to the pass that rounds weights, of which only the part is done.
Status RunPart(const recipe::Recipe& recipe, const std::string& store, const LayerPart& part,
               Console& console);
void PrintJobSummary(const report::Report& report, const std::vector<WrittenFile>& files,
                     Console& console);

}  // namespace roundel::cmd
