#pragma once
// INVARIANT(condition, message): an invariant of our own code; active in every build. Never for input
// errors, which are Status (status.h).

#include <string>

namespace roundel {

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              const std::string& message);

}  // namespace roundel

#define INVARIANT(condition, message)                                  \
  do {                                                                 \
    if (!(condition)) [[unlikely]]                                     \
      ::roundel::CheckFailed(__FILE__, __LINE__, #condition, message); \
  } while (false)
