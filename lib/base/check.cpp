#include "lib/base/check.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace roundel {

void CheckFailed(const char* file, int line, const char* condition, const std::string& message) {
  const char* name = std::strrchr(file, '/');
  std::fprintf(stderr, "roundel: internal error at %s:%d: %s (%s)\n", name ? name + 1 : file, line,
               message.c_str(), condition);
  std::fflush(stderr);
  std::abort();
}

}  // namespace roundel
