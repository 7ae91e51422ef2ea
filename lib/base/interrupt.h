#pragma once
// Ctrl-C and SIGTERM: the first sets a flag that long loops poll and turn into InterruptedError();
// a second one ends the process at once (temporary files are removed, see file.h).

namespace roundel {

void InstallInterruptHandler();
bool Interrupted();
void RequestInterrupt();  // what the signal does; for tests

}  // namespace roundel
