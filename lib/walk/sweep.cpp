#include "lib/walk/sweep.h"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

#include "lib/base/interrupt.h"
#include "lib/base/lanes.h"
#include "lib/base/limits.h"
#include "lib/base/parallel.h"
#include "lib/base/progress.h"
#include "lib/engine/weight_bytes.h"

namespace roundel::walk {
namespace {

struct Lane {
  std::unique_ptr<engine::Executor> executor;
  std::vector<engine::Tap> taps;
};

class Sweeper {
 public:
  Sweeper(const graph::Model& model, const SweepOptions& options, DataSource& data,
          const SweepHooks& hooks)
      : model_(model), options_(options), data_(data), hooks_(hooks), views_(data.views()) {}

  Result<int64_t> Run() {
    const int64_t available = data_.size();
    const int64_t limit = options_.samples * views_;
    Progress progress(options_.label, limit > 0 ? std::min(limit, available) : available);
    progress_ = &progress;
    RETURN_IF_ERROR(data_.Rewind());
    const int64_t wanted = LanesThatFit(0);
    if (wanted == 1) {
      lanes_.resize(1);
      Prepare(0);
      while (RunNext(0)) {
      }
    } else {
      RunLanes(wanted);
    }
    if (!error_.ok()) return error_;
    return samples_;
  }

 private:
  // Lane 0 runs the first batch, which measures the activations of an executor, while the others
  // compile the model.
  void RunLanes(int64_t wanted) {
    model_.graph->BuildIndex();
    Lanes lanes(static_cast<int>(wanted));
    lanes_.resize(static_cast<size_t>(wanted));
    lanes.Run(lanes.count(), [this](int lane) {
      Prepare(lane);
      if (lane == 0) RunNext(lane);
    });
    if (!lanes_[0].executor) return;
    const int64_t count = std::min(wanted, LanesThatFit(lanes_[0].executor->activation_bytes()));
    lanes_.resize(static_cast<size_t>(count));
    lanes.Run(static_cast<int>(count), [this](int lane) {
      while (RunNext(lane)) {
      }
    });
  }

  // Every executor packs the weights again and has its own activations. If the limit is the user's,
  // activations count twice, because results, batches and intermediate copies come in addition.
  int64_t LanesThatFit(int64_t activation_bytes) const {
    const int64_t packed = 2 * engine::WeightBytes(*model_.graph) + 1;
    const int64_t left = std::max<int64_t>(0, MemoryLimit() - MemoryInUse());
    const int64_t more = std::min(options_.spare_bytes / (packed + activation_bytes),
                                  left / (packed + 2 * activation_bytes));
    return std::clamp<int64_t>(1 + more, 1, Threads());
  }

  void Fail(Status error) {
    const std::scoped_lock lock(mutex_);
    if (error_.ok()) error_ = std::move(error);
  }

  void Prepare(int index) {
    Lane& lane = lanes_[static_cast<size_t>(index)];
    auto executor = engine::Executor::Create(model_, options_.executor);
    if (!executor.ok()) return Fail(executor.status());
    if (hooks_.taps) lane.taps = hooks_.taps(index);
    lane.executor = std::move(*executor);
  }

  // The next batch of the data and its number; nullopt at the end.
  Result<std::optional<Batch>> Fetch(int64_t* number) {
    const std::scoped_lock lock(fetch_mutex_);
    if (Interrupted()) return InterruptedError();
    const bool first_view = fetched_ % views_ == 0;
    if (options_.samples > 0 && first_view && fetched_samples_ >= options_.samples)
      return std::optional<Batch>();
    ASSIGN_OR_RETURN(std::optional<Batch> batch, data_.Next());
    if (!batch) return batch;
    if (first_view) fetched_samples_ += batch->size;
    *number = fetched_++;
    return batch;
  }

  // Runs one batch on the lane and passes on its results when it is its turn; false at the end.
  bool RunNext(int index) {
    {
      const std::scoped_lock lock(mutex_);
      if (!error_.ok()) return false;
    }
    Lane& lane = lanes_[static_cast<size_t>(index)];
    int64_t number = 0;
    auto batch = Fetch(&number);
    if (!batch.ok()) {
      Fail(batch.status());
      turn_changed_.notify_all();
      return false;
    }
    if (!*batch) return false;
    auto outputs = lane.executor->Run((*batch)->inputs, lane.taps);
    std::unique_lock lock(mutex_);
    turn_changed_.wait(lock, [&] { return turn_ == number || !error_.ok(); });
    if (error_.ok()) error_ = PassOn(index, **batch, outputs);
    ++turn_;
    turn_changed_.notify_all();
    return error_.ok();
  }

  Status PassOn(int index, const Batch& batch, const Result<std::vector<Tensor>>& outputs) {
    if (!outputs.ok())
      return hooks_.explain ? hooks_.explain(outputs.status(), batch) : outputs.status();
    if (hooks_.done) RETURN_IF_ERROR(hooks_.done(index, batch, *outputs));
    samples_ += batch.size;
    progress_->Advance(batch.size);
    return OkStatus();
  }

  const graph::Model& model_;
  const SweepOptions& options_;
  DataSource& data_;
  const SweepHooks& hooks_;
  const int64_t views_;
  std::vector<Lane> lanes_;
  Progress* progress_ = nullptr;

  std::mutex fetch_mutex_;  // guards the data and the next two members
  int64_t fetched_ = 0, fetched_samples_ = 0;

  std::mutex mutex_;  // guards the members below
  std::condition_variable turn_changed_;
  int64_t turn_ = 0;  // number of the batch whose results are passed on next
  int64_t samples_ = 0;
  Status error_;
};

}  // namespace

Result<int64_t> Sweep(const graph::Model& model, const SweepOptions& options, DataSource& data,
                      const SweepHooks& hooks) {
  return Sweeper(model, options, data, hooks).Run();
}

}  // namespace roundel::walk
