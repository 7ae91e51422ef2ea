#pragma once
// The work of a batch: its jobs, what is left of them, and what the pool asks.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cmd/batch_jobs.h"
#include "cmd/batch_run.h"
#include "cmd/batch_table.h"
#include "lib/batch/claims.h"
#include "lib/batch/pool.h"
#include "lib/batch/status_log.h"

namespace roundel::cmd {

class BatchWork : public batch::PoolOwner {
 public:
  // `out`: the absolute path of the existing folder.
  BatchWork(const BatchOptions& options, std::string out);

  // Reads manifest and log, and selects the jobs of this run.
  Status Load();
  // The selected jobs that are to be run, in the order of running.
  std::vector<size_t> Left() const;
  Status Run(const std::vector<size_t>& left);
  std::vector<std::string> IdsOf(const std::vector<size_t>& jobs) const;
  // The selected jobs, in the manifest's order.
  std::vector<BatchRow> Rows() const;

  batch::Claim TryClaim(size_t job) override;
  int64_t MemoryOf(size_t job) override;
  Result<batch::Launch> Prepare(size_t index, const batch::Share& share) override;
  Result<bool> Finished(size_t index, const batch::Share& share,
                        const batch::ChildEnd& end) override;
  Status CouldNotStart(size_t index, const Status& why) override;
  bool Stops() const override { return stops_; }
  Status Tick() override;

 private:
  Status Select();
  std::vector<size_t> LongestFirst(std::vector<size_t> jobs) const;
  bool IsDone(size_t index) const;
  bool WantsRetry(const batch::JobResult& result) const;
  batch::JobResult Blank(size_t index) const;
  void AddOutputs(const BatchJob& job, batch::JobResult* result) const;
  Status Record(size_t index, const batch::JobResult& result);
  std::string ProgressText(size_t index);

  const BatchOptions& options_;
  const std::string out_;
  std::vector<BatchJob> jobs_;
  std::vector<int64_t> bytes_;    // of the models
  std::vector<size_t> selected_;  // in the manifest's order
  std::vector<bool> ran_;         // in this run
  batch::StatusLog log_;
  std::optional<batch::Claims> claims_;
  bool stops_ = false;
  std::set<size_t> alone_;  // what needs all the memory
  // For the time that is left: seconds grow about as bytes do, plus some.
  double start_ = 0, cost_left_ = 0, cost_done_ = 0;
  size_t done_ = 0, total_ = 0;
};

}  // namespace roundel::cmd
