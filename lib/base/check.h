#pragma once
// INVARIANT(condition, message) checks an invariant of this program, in every build. Errors of
// input are a Status (status.h), never an INVARIANT.

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
