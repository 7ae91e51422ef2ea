#pragma once
// Early exit of the process, from any thread, an allocation or a signal handler. Nothing here
// allocates, locks or runs destructors. Temporary files are removed.

#include <initializer_list>
#include <string>

namespace roundel {

// The error message for all out-of-memory conditions, wherever they are detected.
inline constexpr char kOutOfMemory[] =
    "out of memory: lower --max-memory, --threads or --batch, or raise the limit of the process";

// Writes the parts as one line to stderr, removes temporary files and exits; if several threads
// call it, only the first call takes effect.
[[noreturn]] void EndProcess(int exit_code, std::initializer_list<const char*> parts);
[[noreturn]] void EndOutOfMemory();  // exit code 1

// Registers a file that EndProcess removes. Returns its slot, or -1 if the table is
// full.
int RegisterTemporary(const std::string& path);
void ForgetTemporary(int slot);

}  // namespace roundel
