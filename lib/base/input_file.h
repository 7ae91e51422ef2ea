#pragma once
// Input files that the user names. The content that a file should have decides the kind of its
// errors: kModel for a model that is missing, kData for missing data (status.h).

#include <memory>
#include <string>

#include "lib/base/file.h"
#include "lib/base/status.h"

namespace roundel {

constexpr int ExitCode(ErrorKind kind) {
  return kind == ErrorKind::kInterrupted ? 130 : static_cast<int>(kind);
}

// MappedFile::Open() with errors of `kind`. Requires a regular file: a folder, pipe or device is an
// error, and is not opened. If a file shrinks while it is mapped, the process ends with an error
// line that names it (InstallSignalHandlers()) and the exit code of `kind`.
Result<std::shared_ptr<const MappedFile>> OpenInput(const std::string& path, ErrorKind kind);
Result<std::string> ReadInputText(const std::string& path, ErrorKind kind);

// Ends the process with an error if `address` lies in a mapped file. For the SIGBUS handler.
void EndIfMapped(const void* address);

}  // namespace roundel
