#pragma once
// How the process ends early: in any thread, inside of an allocation or a signal handler. Nothing
// here allocates, locks or runs destructors; temporary files are removed.

#include <initializer_list>
#include <string>

namespace roundel {

// One line for whoever runs out of memory, wherever that is noticed.
inline constexpr char kOutOfMemory[] =
    "out of memory: lower --max-memory, --threads or --batch, or raise the limit of the process";

// Writes the parts as one line to stderr, removes temporary files and exits; of several threads
// only the first one does so.
[[noreturn]] void EndProcess(int exit_code, std::initializer_list<const char*> parts);
[[noreturn]] void EndOutOfMemory();  // exit code 1

// A file that must not outlive the process, for as long as it is registered; -1 if there is no room
// for one more.
int RegisterTemporary(const std::string& path);
void ForgetTemporary(int slot);

}  // namespace roundel
