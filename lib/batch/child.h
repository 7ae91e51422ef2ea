#pragma once
// A process for one job: its limits, its end, and what it took.

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace roundel::batch {

struct ChildLimits {
  double timeout = 0;  // seconds; 0: none
  int64_t memory = 0;  // bytes; 0: none
};

struct ChildEnd {
  int exit_code = 0;  // 128 + signal if a signal ended it
  int signal = 0;
  bool timed_out = false, over_memory = false, stopped = false;  // by this process
  bool oom_killed = false;                                       // the system ran out of memory
  double seconds = 0;
  int64_t peak_memory = 0;
};

// Ends with this process, however that ends.
class Child {
 public:
  // `args[0]` is the path of the program. Both outputs go to the file `log`,
  // input is empty.
  static Result<std::unique_ptr<Child>> Start(const std::vector<std::string>& args,
                                              const std::string& log, const ChildLimits& limits);
  ~Child();  // kills it if it still runs
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // True if it has ended. Else enforces the limits.
  bool Poll(ChildEnd* end);
  // Asks it to stop; after some seconds Poll() kills it.
  void Stop();
  int fd() const { return fd_; }  // readable when it has ended; -1 on kernels before 5.3

 private:
  Child() = default;
  void CheckLimits();
  void Signal(int number);
  double Seconds() const;

  pid_t pid_ = -1;
  int fd_ = -1;
  ChildLimits limits_;
  int64_t oom_kills_ = 0;           // of the system, before the start
  double start_ = 0, stop_at_ = 0;  // stop_at_: when it was asked to stop; 0: not
  ChildEnd end_;
};

// Waits until one of them ends, `seconds` have passed, or a signal arrives.
void WaitForAny(const std::vector<const Child*>& children, double seconds);

}  // namespace roundel::batch
