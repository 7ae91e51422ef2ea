#pragma once
// Signals. The first of SIGINT, SIGTERM and SIGHUP sets a flag that long loops poll and turn into
// InterruptedError(); a second one ends the process at once (ending.h).

namespace roundel {

// Installs handlers of all signals except those of program faults: the three above, SIGBUS (a
// mapped file that shrinks, see file.h), SIGPIPE and SIGXFSZ (ignored: the write fails
// instead).
void InstallSignalHandlers();
bool Interrupted();
void RequestInterrupt();  // same effect as the first signal; for tests

// While a scope exists, a second signal does not end the process, so that a group of files is
// renamed completely.
class UninterruptedScope {
 public:
  UninterruptedScope();
  ~UninterruptedScope();
  UninterruptedScope(const UninterruptedScope&) = delete;
  UninterruptedScope& operator=(const UninterruptedScope&) = delete;
};

}  // namespace roundel
