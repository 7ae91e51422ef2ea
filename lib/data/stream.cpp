#include "lib/data/stream.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <system_error>
#include <utility>

#include "lib/base/interrupt.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/data/batch_rows.h"

namespace roundel::data {

StreamOptions DefaultStreamOptions(int64_t fixed_batch) {
  const int threads = std::clamp(Threads() / 4, 1, 16);
  return {threads, threads + 2, fixed_batch};
}

Stream::Stream(std::unique_ptr<Loader> loader, StreamOptions options)
    : loader_(std::move(loader)), options_(options) {}

void Stream::Start() {
  started_ = true;
  try {
    for (int i = 0; i < options_.threads; ++i) workers_.emplace_back([this] { Work(); });
  } catch (const std::system_error&) {
    // No more threads are available: the running ones, or Next() itself, do the work.
  }
}

void Stream::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void Stream::Work() {
  for (;;) {
    int64_t chunk = 0;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || claimed_ < delivered_ + options_.ahead; });
      if (stop_ || claimed_ >= loader_->chunks()) return;
      chunk = claimed_++;
    }
    Result<Chunk> loaded = OutOfMemoryError();
    try {
      loaded = loader_->Load(chunk);
    } catch (const std::bad_alloc&) {  // keeps the error
    }
    {
      const std::lock_guard lock(mutex_);
      ready_.emplace(chunk, std::move(loaded));
    }
    changed_.notify_all();
  }
}

// Requires that there is a chunk left.
Result<Chunk> Stream::TakeChunk() {
  if (workers_.empty()) return loader_->Load(delivered_++);
  std::unique_lock lock(mutex_);
  while (ready_.count(delivered_) == 0) {
    if (Interrupted()) return InterruptedError();
    changed_.wait_for(lock, std::chrono::milliseconds(50));  // a signal does not notify
  }
  auto node = ready_.extract(delivered_++);
  lock.unlock();
  changed_.notify_all();
  return std::move(node.mapped());
}

void Stream::ReportSkipped(const std::vector<std::string>& reasons) {
  constexpr int64_t kMaxWarnings = 20;
  skipped_ += static_cast<int64_t>(reasons.size());
  if (!report_skipped_) return;
  for (const std::string& reason : reasons) {
    if (reported_ < kMaxWarnings) LogWarning(StrCat("skipped: ", reason));
    if (reported_++ == kMaxWarnings) LogWarning("skipped: further files are counted only");
  }
}

Result<std::optional<Batch>> Stream::NextOfAnySize() {
  while (delivered_ < loader_->chunks()) {
    if (Interrupted()) return InterruptedError();
    ASSIGN_OR_RETURN(Chunk chunk, TakeChunk());
    ReportSkipped(chunk.skipped);
    if (chunk.batch.size > 0) return std::optional(std::move(chunk.batch));
  }
  return std::optional<Batch>();
}

Result<std::optional<Batch>> Stream::NextOfFixedSize() {
  while (rest_.size < options_.fixed_batch) {
    ASSIGN_OR_RETURN(std::optional<Batch> more, NextOfAnySize());
    if (!more) {
      if (rest_.size > 0 && report_skipped_)
        LogWarning(StrCat("the model's batch size is ", options_.fixed_batch, ": the last ",
                          rest_.size, " samples are left out"));
      return std::optional<Batch>();
    }
    RETURN_IF_ERROR(AppendRows(std::move(*more), &rest_));
  }
  return std::optional(TakeRows(options_.fixed_batch, &rest_));
}

Result<std::optional<Batch>> Stream::Next() {
  RETURN_IF_ERROR(failed_);
  if (!started_) Start();
  auto next = options_.fixed_batch > 0 ? NextOfFixedSize() : NextOfAnySize();
  if (next.ok() && !*next && !any_delivered_)
    next =
        options_.fixed_batch > 1
            ? DataError(StrCat("fewer samples than the model's batch size, ", options_.fixed_batch))
            : DataError("none of the samples could be read");
  if (!next.ok()) failed_ = next.status();
  any_delivered_ = true;
  return next;
}

Status Stream::Rewind() {
  if (!started_) return OkStatus();
  Stop();
  ready_.clear();
  claimed_ = delivered_ = skipped_ = 0;
  stop_ = started_ = report_skipped_ = any_delivered_ = false;
  failed_ = OkStatus();
  rest_ = {};
  return OkStatus();
}

}  // namespace roundel::data
