#include "lib/base/lanes.h"

#include <algorithm>

#include "lib/base/check.h"
#include "lib/base/parallel.h"

namespace roundel {

Lanes::Lanes(int count) {
  for (int lane = 0; lane < count; ++lane) threads_.emplace_back([this, lane] { Serve(lane); });
}

Lanes::~Lanes() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Lanes::Run(int n, const std::function<void(int)>& work) {
  INVARIANT(n <= count(), "more work than lanes");
  if (n <= 0) return;
  std::unique_lock lock(mutex_);
  work_ = &work;
  active_ = pending_ = n;
  ++round_;
  wake_.notify_all();
  finished_.wait(lock, [this] { return pending_ == 0; });
}

void Lanes::Serve(int lane) {
  SetThreads(1);  // applies to this thread only
  uint64_t done = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stop_ || (round_ != done && lane < active_); });
    if (stop_) return;
    done = round_;
    const std::function<void(int)>& work = *work_;
    lock.unlock();
    work(lane);
    lock.lock();
    if (--pending_ == 0) finished_.notify_one();
  }
}

TwoSides::TwoSides() : threads_(std::max(1, Threads() / 2)) {
  if (Threads() > 1) lanes_.emplace(2);
}

void TwoSides::Run(const std::function<void(int)>& work) {
  if (!lanes_) {
    work(0);
    return work(1);
  }
  lanes_->Run(2, [&](int side) {
    SetThreads(threads_);
    work(side);
  });
}

}  // namespace roundel
