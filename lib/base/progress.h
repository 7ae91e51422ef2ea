#pragma once
// Progress of long work, on stderr: a bar with rate and ETA on a terminal, a plain line every few
// seconds otherwise, nothing with -q.

#include <chrono>
#include <cstdint>
#include <string>

namespace roundel {

class Progress {
 public:
  // `total` in units of work (images, layers); 0 if unknown.
  Progress(std::string label, int64_t total, std::string unit = "samples");
  ~Progress();  // ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // `note`: text about the finished unit, printed after the numbers.
  void Advance(int64_t units = 1, std::string note = "");

 private:
  void Print(bool last);

  std::string label_, unit_, note_;
  int64_t total_, done_ = 0;
  bool enabled_, terminal_, printed_ = false;
  std::chrono::steady_clock::time_point start_, last_print_;
};

}  // namespace roundel
