#include "lib/base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/text.h"

namespace roundel {
namespace {

constexpr double kTerminalInterval = 0.1;  // seconds between redraws of the bar
constexpr double kPlainInterval = 5.0;     // seconds between plain lines: readable CI logs
constexpr int kBarWidth = 24;

double Seconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace

Progress::Progress(std::string label, int64_t total, std::string unit)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      enabled_(GetLogLevel() != LogLevel::kQuiet),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(std::chrono::steady_clock::now()),
      last_print_(start_) {}

Progress::~Progress() {
  if (enabled_ && printed_) Print(true);
}

void Progress::Advance(int64_t units, std::string note) {
  done_ += units;
  note_ = std::move(note);
  if (!enabled_ || (total_ > 0 && done_ >= total_)) return;  // the destructor prints the last line
  const auto now = std::chrono::steady_clock::now();
  if (Seconds(now - last_print_) < (terminal_ ? kTerminalInterval : kPlainInterval)) return;
  last_print_ = now;
  Print(false);
}

void Progress::Print(bool last) {
  printed_ = true;
  const double elapsed = Seconds(std::chrono::steady_clock::now() - start_);
  const double rate = elapsed > 0 ? static_cast<double>(done_) / elapsed : 0;
  std::string line = label_;
  if (total_ > 0) {
    const double fraction = static_cast<double>(done_) / static_cast<double>(total_);
    if (terminal_) {
      const int filled = static_cast<int>(std::min(fraction, 1.0) * kBarWidth);
      line += " [" + std::string(filled, '=') + std::string(kBarWidth - filled, ' ') + "]";
    }
    line += StrFormat(" %lld/%lld %s, %.1f/s", static_cast<long long>(done_),
                      static_cast<long long>(total_), unit_.c_str(), rate);
    if (rate > 0 && done_ < total_)
      line += ", ETA " + ClockText(static_cast<double>(total_ - done_) / rate);
  } else {
    line += StrFormat(" %lld %s, %.1f/s", static_cast<long long>(done_), unit_.c_str(), rate);
  }
  if (!note_.empty() && !last) line += " - " + note_;
  if (terminal_)
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), last ? "\n" : "");
  else
    std::fprintf(stderr, "%s\n", line.c_str());
  std::fflush(stderr);
}

}  // namespace roundel
