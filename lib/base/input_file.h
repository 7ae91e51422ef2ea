#pragma once
// Files that a user gives. What such a file holds decides the exit code when it cannot be read: a
// missing model is a fault of kModel, missing data one of kData (status.h).

#include <memory>
#include <string>

#include "lib/base/file.h"
#include "lib/base/status.h"

namespace roundel {

constexpr int ExitCode(ErrorKind kind) {
  return kind == ErrorKind::kInterrupted ? 130 : static_cast<int>(kind);
}

// MappedFile::Open() with errors of `kind`. Anything but a regular file (a folder, a pipe, a
// device) is refused without waiting for it. A file that shrinks while it is mapped ends the
// process with a line that names it (InstallSignalHandlers()) and the exit code of `kind`.
Result<std::shared_ptr<const MappedFile>> OpenInput(const std::string& path, ErrorKind kind);
Result<std::string> ReadInputText(const std::string& path, ErrorKind kind);

// Ends the process, naming the file, if `address` lies in a mapped one. For the handler of SIGBUS.
void EndIfMapped(const void* address);

}  // namespace roundel
