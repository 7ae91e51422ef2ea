#include "lib/base/ending.h"

#include <unistd.h>

#include <atomic>
#include <cstring>

namespace roundel {
namespace {

// Fixed slots of C strings: a signal handler may neither lock nor allocate.
constexpr int kSlots = 64;
constexpr size_t kMaxPath = 4096;
char temporary_paths[kSlots][kMaxPath];
std::atomic<bool> slot_used[kSlots];
std::atomic<bool> ending{false};

}  // namespace

void EndProcess(int exit_code, std::initializer_list<const char*> parts) {
  if (ending.exchange(true))
    while (true) pause();  // the first one ends all threads
  for (const char* part : parts) {
    size_t left = std::strlen(part);
    while (left > 0) {
      const ssize_t written = write(STDERR_FILENO, part, left);
      if (written <= 0) break;
      part += written;
      left -= static_cast<size_t>(written);
    }
  }
  for (const auto& path : temporary_paths)
    if (path[0] != '\0') unlink(path);
  _exit(exit_code);
}

void EndOutOfMemory() { EndProcess(1, {"error: ", kOutOfMemory, "\n"}); }

int RegisterTemporary(const std::string& path) {
  if (path.empty() || path.size() >= kMaxPath) return -1;
  for (int i = 0; i < kSlots; ++i) {
    bool expected = false;
    if (!slot_used[i].compare_exchange_strong(expected, true)) continue;
    std::memcpy(temporary_paths[i] + 1, path.c_str() + 1, path.size());
    temporary_paths[i][0] = path[0];  // last: a slot is valid once its first byte is set
    return i;
  }
  return -1;
}

void ForgetTemporary(int slot) {
  if (slot < 0) return;
  temporary_paths[slot][0] = '\0';
  slot_used[slot] = false;
}

}  // namespace roundel
