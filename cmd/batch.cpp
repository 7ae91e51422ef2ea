// roundel batch: the models of a manifest, one process each.

#include <CLI/CLI.hpp>

#include <memory>

#include "cmd/batch_run.h"
#include "cmd/command.h"
#include "lib/base/text.h"

namespace roundel::cmd {

CommandRun SetupBatch(CLI::App& app) {
  const auto options = std::make_shared<BatchOptions>();
  app.add_option("MANIFEST", options->manifest,
                 "YAML file with the keys defaults and models (docs/batch.md)")
      ->required();
  app.add_option("-o,--out", options->out,
                 "Folder for the results: status.jsonl, and a folder for each model")
      ->required()
      ->option_text("DIR");
  app.add_option("-j,--jobs", options->jobs,
                 "Number of models to work on at the same time; threads and "
                 "memory are divided [1]")
      ->check(CLI::Range(1, 256))
      ->option_text("N");
  app.add_option("--only", options->only, "Only the models with this id or tag (repeatable)")
      ->option_text("ID|TAG")
      ->allow_extra_args(false);
  app.add_option("--retry", options->retry,
                 "Run finished jobs of this kind again: failed = all that are "
                 "not ok, or a kind of "
                 "status.jsonl such as timeout (repeatable)")
      ->option_text("KIND")
      ->allow_extra_args(false);
  app.add_option("--shard", options->shard,
                 "Part I of N of the models, counted from 0 [of a Slurm array "
                 "or MPI, its part; "
                 "else all]")
      ->option_text("I/N");
  app.add_option("--claim-expiry", options->claim_expiry,
                 "Seconds without a sign of life after which the jobs of "
                 "another machine's process "
                 "are taken over [90]")
      ->check(CLI::Range(5.0, 86400.0))
      ->option_text("S");
  app.add_flag("--stop-on-failure", options->stop_on_failure,
               "Start no further job when one is not ok [all jobs are run]");
  app.add_flag("--dry-run", options->dry_run, "Print which jobs would be run, then stop");
  app.add_flag("--list", options->list, "Print the ids of all jobs, then stop");
  AddCaseFlags(app, &options->cases);
  app.footer(
      "Finished models are skipped when the command is repeated, and "
      "several processes with the "
      "same DIR\nshare the work. A model's results are in DIR/ID.\n"
      "The exit code is 0 if all jobs are ok, 5 if gates failed and nothing else, and otherwise "
      "that\nof the worst error.\n"
      "Example: roundel batch zoo.yaml --out results --jobs 2");
  return [options](Console& console) { return RunBatch(*options, console); };
}

}  // namespace roundel::cmd
