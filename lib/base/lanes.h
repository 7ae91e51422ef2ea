#pragma once
// Threads that each do one whole piece of work at a time, instead of sharing every loop: no waiting for
// one another inside a piece. Parallel loops within a lane run on that lane alone.

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
  // work(lane) for lane in [0, n), all at the same time; returns when the last has finished. A lane
  // is always the same thread. `work` does not throw.
  void Run(int n, const std::function<void(int)>& work);

 private:
  void Serve(int lane);

  std::mutex mutex_;
  std::condition_variable wake_, finished_;
  const std::function<void(int)>* work_ = nullptr;
  int active_ = 0;   // lanes [0, active_) take part in this round
  int pending_ = 0;  // of those, how many have not finished
  uint64_t round_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

// Two pieces of work at the same time, such as a model and what was made of it, each on half of the
// caller's threads; one after the other where there is only one thread.
class TwoSides {
 public:
  TwoSides();
  // work(0) and work(1); each side is always the same thread. `work` does not throw.
  void Run(const std::function<void(int)>& work);

 private:
  const int threads_;  // of each side
  std::optional<Lanes> lanes_;
};

}  // namespace roundel
