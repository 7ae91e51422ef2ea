#include "cmd/batch_work.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <set>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/machine.h"
#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/batch/classify.h"
#include "lib/batch/shard.h"

namespace roundel::cmd {
namespace {

namespace fs = std::filesystem;
using batch::JobResult;

// Creates a folder if it is missing. Errors: it is a link, or no folder.
Status MakeFolder(const std::string& path) {
  std::error_code error;
  fs::create_directory(path, error);
  if (fs::symlink_status(path, error).type() == fs::file_type::directory) return OkStatus();
  return UsageError(StrCat("'", path, "' cannot be used as a folder for results: ",
                           error ? error.message() : "it is a link or a file"));
}

// Expected time of a job, in no unit.
double CostOf(int64_t bytes) { return 1e6 + static_cast<double>(bytes); }

bool HasOutputs(const JobResult& result) { return result.kind == "ok" || result.kind == "gate"; }

bool Has(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

Status CheckRetry(const std::vector<std::string>& kinds) {
  std::vector<std::string> known = {"failed"};
  for (const batch::Kind& kind : batch::Kinds()) known.emplace_back(kind.name);
  for (const std::string& kind : kinds)
    if (!Has(known, kind))
      return UsageError(
          StrCat("--retry: no kind '", Printable(kind), "'; there are ", Join(known)));
  return OkStatus();
}

}  // namespace

BatchWork::BatchWork(const BatchOptions& options, std::string out)
    : options_(options), out_(std::move(out)), log_(out_ + "/status.jsonl") {}

Status BatchWork::Load() {
  RETURN_IF_ERROR(CheckRetry(options_.retry));
  ASSIGN_OR_RETURN(jobs_, LoadJobs(options_.manifest, out_));
  RETURN_IF_ERROR(MakeFolder(out_ + "/.batch"));
  RETURN_IF_ERROR(MakeFolder(out_ + "/.batch/claims"));
  batch::ContentHashes contents(out_ + "/.batch/contents.jsonl", out_);
  for (BatchJob& job : jobs_) {
    job.hash = HashJob(job, &contents);
    bytes_.push_back(contents.ModelBytes(job.recipe.Section("").String("model")));
  }
  RETURN_IF_ERROR(contents.Save());
  ran_.assign(jobs_.size(), false);
  RETURN_IF_ERROR(Select());
  return log_.Refresh();
}

// --only and --shard. Errors: kUsage for a word that is neither an id nor a
// tag.
Status BatchWork::Select() {
  std::set<std::string> words;
  for (const BatchJob& job : jobs_) {
    words.insert(job.entry.id);
    words.insert(job.entry.tags.begin(), job.entry.tags.end());
  }
  for (const std::string& word : options_.only) {
    if (words.contains(word)) continue;
    const std::string nearest = NearestName(word, {words.begin(), words.end()});
    return UsageError(StrCat("--only: no model has the id or tag '", Printable(word), "'",
                             nearest.empty() ? "" : StrCat("; did you mean '", nearest, "'?")));
  }
  std::vector<size_t> order(jobs_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::erase_if(order, [this](size_t i) {
    const batch::Entry& entry = jobs_[i].entry;
    return !options_.only.empty() && !Has(options_.only, entry.id) &&
           std::none_of(entry.tags.begin(), entry.tags.end(),
                        [this](const std::string& tag) { return Has(options_.only, tag); });
  });
  batch::Shard shard;
  if (options_.shard.empty()) {
    ASSIGN_OR_RETURN(shard, batch::ShardOfScheduler());
  } else {
    ASSIGN_OR_RETURN(shard, batch::ParseShard(options_.shard));
  }
  if (!shard.from.empty())
    LogInfo(StrCat("part ", shard.index, " of ", shard.count, " (", shard.from, ")"));
  order = LongestFirst(std::move(order));
  for (size_t position = 0; position < order.size(); ++position)
    if (batch::InShard(shard, position)) selected_.push_back(order[position]);
  std::sort(selected_.begin(), selected_.end());
  return OkStatus();
}

std::vector<size_t> BatchWork::LongestFirst(std::vector<size_t> jobs) const {
  std::stable_sort(jobs.begin(), jobs.end(),
                   [this](size_t a, size_t b) { return bytes_[a] > bytes_[b]; });
  return jobs;
}

// Long jobs first, so that none is left alone at the end.
std::vector<size_t> BatchWork::Left() const {
  std::vector<size_t> left = LongestFirst(selected_);
  std::erase_if(left, [this](size_t i) {
    const JobResult* result = log_.Find(jobs_[i].entry.id);
    return IsDone(i) && !WantsRetry(*result);
  });
  return left;
}

Status BatchWork::Run(const std::vector<size_t>& left) {
  // Killed runs may have left what nobody needs.
  for (const size_t i : selected_) {
    std::error_code ignored;
    if (IsDone(i) && HasOutputs(*log_.Find(jobs_[i].entry.id)))
      fs::remove_all(jobs_[i].store, ignored);
  }
  ASSIGN_OR_RETURN(batch::Claims claims,
                   batch::Claims::Open(out_ + "/.batch/claims", options_.claim_expiry));
  claims_.emplace(std::move(claims));
  start_ = SteadySeconds();
  total_ = left.size();
  for (const size_t i : left) cost_left_ += CostOf(bytes_[i]);
  // A job that is run again may be finished by others meanwhile: its line
  // counts from here on.
  for (const size_t i : left)
    if (IsDone(i)) log_.Forget(jobs_[i].entry.id);
  const batch::PoolOptions pool{.jobs = options_.jobs,
                                .all = {.threads = Threads(), .memory = UsableMemory()}};
  const Status status = RunPool(pool, left, this);
  claims_.reset();
  return status;
}

std::vector<std::string> BatchWork::IdsOf(const std::vector<size_t>& jobs) const {
  std::vector<std::string> ids;
  for (const size_t i : jobs) ids.push_back(jobs_[i].entry.id);
  return ids;
}

std::vector<BatchRow> BatchWork::Rows() const {
  std::vector<BatchRow> rows;
  for (const size_t i : selected_) {
    const JobResult* result = log_.Find(jobs_[i].entry.id);
    if (result != nullptr && result->hash != jobs_[i].hash) result = nullptr;
    rows.push_back({jobs_[i].entry.id, result, ran_[i]});
  }
  return rows;
}

// ---- for the pool

batch::Claim BatchWork::TryClaim(size_t index) {
  const std::string& id = jobs_[index].entry.id;
  const auto taken = claims_->Take(id);
  const bool mine = taken.ok() && *taken;
  // Another process may have finished it, before or after this one looked at
  // the log.
  const bool done = log_.Refresh().ok() && IsDone(index);
  if (done) {
    if (mine) claims_->GiveUp(id);
    ++done_;
    cost_left_ -= CostOf(bytes_[index]);
    return batch::Claim::kDone;
  }
  // Without claims (a file system that cannot hold them) a job may run twice,
  // with equal results.
  return mine || !taken.ok() ? batch::Claim::kMine : batch::Claim::kBusy;
}

int64_t BatchWork::MemoryOf(size_t job) {
  return alone_.contains(job) ? INT64_MAX : jobs_[job].entry.memory;
}

Result<batch::Launch> BatchWork::Prepare(size_t index, const batch::Share& share) {
  const BatchJob& job = jobs_[index];
  RETURN_IF_ERROR(MakeFolder(job.folder));
  for (const std::string& path : job.names.All()) {
    std::error_code ignored;
    fs::remove(path,
               ignored);  // of another hash: it must not be taken for the result
  }
  RETURN_IF_ERROR(WriteFileAtomically(job.names.recipe, EffectiveRecipe(job.recipe, job.names)));
  batch::Launch launch{.log = job.log,
                       .limits = {.timeout = job.entry.timeout, .memory = job.entry.memory}};
  launch.args = {"/proc/self/exe",    "run",       job.names.recipe,      "--store",
                 job.store,           "--threads", StrCat(share.threads), "--max-memory",
                 StrCat(share.memory)};
  return launch;
}

Result<bool> BatchWork::Finished(size_t index, const batch::Share& share,
                                 const batch::ChildEnd& end) {
  const BatchJob& job = jobs_[index];
  JobResult result = Blank(index);
  const auto log = ReadTextFile(job.log);
  batch::Classify(end, log.ok() ? *log : "", &result);
  // Its share was that of several jobs side by side.
  if (result.kind == "memory" && job.entry.memory == 0 && share.memory < UsableMemory() &&
      alone_.insert(index).second) {
    LogInfo(StrCat(result.id, ": out of memory beside other jobs; it will be run again alone"));
    return true;
  }
  if (HasOutputs(result)) AddOutputs(job, &result);
  RETURN_IF_ERROR(Record(index, result));
  return false;
}

Status BatchWork::CouldNotStart(size_t index, const Status& why) {
  JobResult result = Blank(index);
  result.exit_code = 1;
  result.kind = "io";
  result.message = why.message();
  return Record(index, result);
}

Status BatchWork::Tick() { return claims_->Renew(); }

// ---- results

// Whether the log has a result of this very job. A limit that has been raised
// since is a reason to try again what exceeded it.
bool BatchWork::IsDone(size_t index) const {
  const batch::Entry& entry = jobs_[index].entry;
  const JobResult* result = log_.Find(entry.id);
  if (result == nullptr || result->hash != jobs_[index].hash) return false;
  if (result->kind == "timeout" && result->timeout != entry.timeout) return false;
  if (result->kind == "memory" && result->memory != entry.memory) return false;
  return result->kind != "interrupted";
}

bool BatchWork::WantsRetry(const JobResult& result) const {
  return Has(options_.retry, result.kind) || (Has(options_.retry, "failed") && result.kind != "ok");
}

JobResult BatchWork::Blank(size_t index) const {
  const BatchJob& job = jobs_[index];
  return {.id = job.entry.id,
          .hash = job.hash,
          .model_bytes = bytes_[index],
          .timeout = job.entry.timeout,
          .memory = job.entry.memory};
}

void BatchWork::AddOutputs(const BatchJob& job, JobResult* result) const {
  const auto relative = [this](const std::string& path) {
    return fs::path(path).lexically_relative(out_).string();
  };
  result->output = relative(job.names.model);
  result->report = relative(job.names.report);
  for (const std::string& path : {job.names.model, job.names.model + ".data"}) {
    std::error_code error;
    const auto bytes = fs::file_size(path, error);
    if (!error) result->output_bytes += static_cast<int64_t>(bytes);
  }
  if (const auto report = ReadTextFile(job.names.report); report.ok()) ReadReport(*report, result);
}

Status BatchWork::Record(size_t index, const JobResult& result) {
  RETURN_IF_ERROR(log_.Append(result));
  RETURN_IF_ERROR(log_.Refresh());
  ran_[index] = true;
  stops_ |= options_.stop_on_failure && !result.good();
  std::error_code ignored;
  if (HasOutputs(result)) fs::remove_all(jobs_[index].store, ignored);
  claims_->GiveUp(result.id);
  LogInfo(StrCat(ProgressText(index), ": ", ResultLine(result)));
  return OkStatus();
}

// "3 of 27, ETA 4:10".
std::string BatchWork::ProgressText(size_t index) {
  const double cost = CostOf(bytes_[index]);
  ++done_;
  cost_done_ += cost;
  cost_left_ -= cost;
  std::string text = StrCat(done_, " of ", total_);
  const double seconds = SteadySeconds() - start_;
  if (done_ < total_ && cost_left_ > 0)
    text += ", ETA " + ClockText(seconds * cost_left_ / cost_done_);
  return text;
}

}  // namespace roundel::cmd
