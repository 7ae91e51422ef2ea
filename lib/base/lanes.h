#pragma once
// Lanes: threads that each run a whole task, such as one sample, instead of sharing every loop.
// Lanes do not synchronize inside a task. Parallel loops in a lane run on its thread only.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace roundel {

class Lanes {
 public:
  explicit Lanes(int count);
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  int count() const { return static_cast<int>(threads_.size()); }
  // Runs work(lane) for lane in [0, n) concurrently and returns when all have finished. Each lane
  // is always the same thread. Requires: `work` does not throw.
  void Run(int n, const std::function<void(int)>& work);

 private:
  void Serve(int lane);

  std::mutex mutex_;
  std::condition_variable wake_, finished_;
  const std::function<void(int)>* work_ = nullptr;
  int active_ = 0;   // lanes [0, active_) run in this round
  int pending_ = 0;  // number of active lanes that have not finished
  uint64_t round_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

// Two concurrent tasks, such as runs of the float and the quantized model, each on half of the
// caller's threads. With one thread they run one after the other.
class TwoSides {
 public:
  TwoSides();
  // Runs work(0) and work(1). Each side is always the same thread. Requires: `work` does not throw.
  void Run(const std::function<void(int)>& work);

 private:
  const int threads_;  // of each side
  std::optional<Lanes> lanes_;
};

}  // namespace roundel
