#pragma once
// Signals. The first of SIGINT, SIGTERM and SIGHUP sets a flag that long loops poll and turn into
// InterruptedError(); a second one ends the process at once, without temporary files (ending.h).

namespace roundel {

// Installs the handlers of all signals that are not fatal faults of the program: those above,
// SIGBUS (a mapped file that shrinks, see file.h), SIGPIPE and SIGXFSZ (ignored: the write fails
// instead).
void InstallSignalHandlers();
bool Interrupted();
void RequestInterrupt();  // what the signal does; for tests

// While one of these lives, a second signal does not end the process: files get their names, all or
// none.
class UninterruptedScope {
 public:
  UninterruptedScope();
  ~UninterruptedScope();
  UninterruptedScope(const UninterruptedScope&) = delete;
  UninterruptedScope& operator=(const UninterruptedScope&) = delete;
};

}  // namespace roundel
