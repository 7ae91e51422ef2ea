#include "cmd/batch_run.h"

#include <chrono>
#include <filesystem>

#include "cmd/batch_cases.h"
#include "cmd/batch_table.h"
#include "cmd/batch_work.h"
#include "lib/base/text.h"

namespace roundel::cmd {

Status RunBatch(const BatchOptions& options, Console& console) {
  namespace fs = std::filesystem;
  const auto start = std::chrono::steady_clock::now();
  RETURN_IF_ERROR(CheckCaseFlags(options.cases, {options.manifest}, console));
  std::error_code error;
  fs::create_directories(options.out, error);
  const std::string out = fs::canonical(options.out, error).string();
  if (error || !fs::is_directory(out, error))
    return UsageError(StrCat("cannot make the folder '", options.out, "'"));
  BatchWork work(options, out);
  RETURN_IF_ERROR(work.Load());
  if (options.list) {
    PrintIds(work.Rows(), console);
    return OkStatus();
  }
  const std::vector<size_t> left = work.Left();
  if (options.dry_run) {
    PrintLeft(work.Rows(), work.IdsOf(left), console);
    return OkStatus();
  }
  const Status run = work.Run(left);
  if (!run.ok() && run.kind() != ErrorKind::kInterrupted) return run;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::vector<BatchRow> rows = work.Rows();
  PrintBatch(rows, seconds, console);
  const Status written =
      WriteCases(options.cases, "roundel batch", options.manifest, CasesOfJobs(rows), run, console);
  if (!run.ok()) return run;
  const Status jobs = BatchStatus(rows);
  return jobs.ok() ? written : jobs;
}

}  // namespace roundel::cmd
