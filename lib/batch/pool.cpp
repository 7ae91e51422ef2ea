#include "lib/batch/pool.h"

#include <algorithm>
#include <chrono>

#include "lib/base/interrupt.h"

namespace roundel::batch {
namespace {

constexpr double kPollSeconds = 0.05;  // between looks at the limits of processes
constexpr double kClaimSeconds = 1;    // between looks at the claims of others

class Pool {
 public:
  Pool(const PoolOptions& options, const std::vector<size_t>& order, PoolOwner* owner)
      : options_(options), waiting_(order.begin(), order.end()), owner_(*owner) {}

  Status Run() {
    while (true) {
      if (Interrupted() || owner_.Stops()) waiting_.clear();
      if (Interrupted()) {
        for (Running& job : running_) job.child->Stop();
      }
      RETURN_IF_ERROR(StartSome());
      RETURN_IF_ERROR(owner_.Tick());
      if (running_.empty() && waiting_.empty()) break;
      std::vector<const Child*> children;
      for (const Running& job : running_) children.push_back(job.child.get());
      WaitForAny(children, IsWatching() ? kPollSeconds : kClaimSeconds);
      RETURN_IF_ERROR(Collect());
    }
    return Interrupted() ? InterruptedError() : OkStatus();
  }

 private:
  struct Running {
    size_t job;
    Share share;
    bool is_limited;
    std::unique_ptr<Child> child;
  };

  // Whether some process has limits, or is to stop. Otherwise its end is all
  // that counts.
  bool IsWatching() const {
    return Interrupted() || std::any_of(running_.begin(), running_.end(),
                                        [](const Running& job) { return job.is_limited; });
  }

  Share Free() const {
    Share free = options_.all;
    for (const Running& job : running_) {
      free.threads -= job.share.threads;
      free.memory -= job.share.memory;
    }
    return free;
  }

  // What `job` would get now; nullopt if it must wait for memory. One job alone
  // may always run.
  std::optional<Share> ShareFor(size_t job) const {
    const Share free = Free();
    const auto open_slots = std::max<int64_t>(1, options_.jobs - std::ssize(running_));
    const auto starters = std::clamp<int64_t>(std::ssize(waiting_), 1, open_slots);
    Share share{.threads = std::max(1, static_cast<int>(free.threads / starters)),
                .memory = owner_.MemoryOf(job)};
    if (share.memory == 0) share.memory = options_.all.memory / std::max(1, options_.jobs);
    share.memory = std::min(share.memory, options_.all.memory);
    if (!running_.empty() && share.memory > free.memory) return std::nullopt;
    return share;
  }

  // Looks through all that wait: what is claimed by others, or too large, stays
  // in its place.
  Status StartSome() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_look_) return OkStatus();
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      if (std::ssize(running_) >= options_.jobs || Interrupted()) break;
      const std::optional<Share> share = ShareFor(*it);
      const Claim claim = share ? owner_.TryClaim(*it) : Claim::kBusy;
      if (claim == Claim::kBusy) {
        ++it;
        continue;
      }
      const size_t job = *it;
      it = waiting_.erase(it);
      if (claim == Claim::kMine) RETURN_IF_ERROR(Start(job, *share));
    }
    next_look_ = now + std::chrono::milliseconds(static_cast<int>(1000 * kClaimSeconds));
    return OkStatus();
  }

  Status Start(size_t job, const Share& share) {
    Result<Launch> launch = owner_.Prepare(job, share);
    if (!launch.ok()) return owner_.CouldNotStart(job, launch.status());
    auto child = Child::Start(launch->args, launch->log, launch->limits);
    if (!child.ok()) return owner_.CouldNotStart(job, child.status());
    const bool is_limited = launch->limits.timeout > 0 || launch->limits.memory > 0;
    running_.push_back({job, share, is_limited, std::move(*child)});
    return OkStatus();
  }

  Status Collect() {
    for (auto it = running_.begin(); it != running_.end();) {
      ChildEnd end;
      if (!it->child->Poll(&end)) {
        ++it;
        continue;
      }
      const size_t job = it->job;
      const Share share = it->share;
      it = running_.erase(it);
      next_look_ = {};
      ASSIGN_OR_RETURN(const bool again, owner_.Finished(job, share, end));
      if (again && !Interrupted()) waiting_.push_back(job);
    }
    return OkStatus();
  }

  const PoolOptions options_;
  std::vector<size_t> waiting_;
  std::vector<Running> running_;
  std::chrono::steady_clock::time_point next_look_;  // at what waits, unless a job ends before
  PoolOwner& owner_;
};

}  // namespace

Status RunPool(const PoolOptions& options, const std::vector<size_t>& order, PoolOwner* owner) {
  return Pool(options, order, owner).Run();
}

}  // namespace roundel::batch
