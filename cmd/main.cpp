#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "cmd/command.h"
#include "cmd/host.h"
#include "lib/base/interrupt.h"

namespace {

// The OpenMP runtime lets idle threads spin for milliseconds before they sleep. On a core that
// another process uses too, every parallel region then waits for a time slice (measured: five times
// slower with one more busy process). The runtime reads its settings before main, hence the second
// start. A setting by the user takes precedence.
void LimitSpinning(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  setenv("GOMP_SPINCOUNT", "3000", 1);
  execv("/proc/self/exe", argv);  // returns only on failure: then continues with the defaults
}

// Batches allocate and free megabytes at a time. By default each would be returned to the system
// and requested again, page by page.
void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 128 << 20);
}

}  // namespace

int main(int argc, char** argv) {
  roundel::cmd::PrepareHost();
  LimitSpinning(argv);
  KeepFreedMemory();
  roundel::InstallSignalHandlers();
  roundel::cmd::StandardOutput buffer;
  std::ostream out(&buffer);
  const int code = roundel::cmd::RunMain({argv + 1, argv + argc}, out, std::cerr);
#if !defined(__SANITIZE_ADDRESS__)
  // All output is written. The destructors of statics would only release memory, such as the
  // machine code of every kernel, which the system does faster.
  std::fflush(nullptr);
  std::_Exit(code);
#else
  return code;
#endif
}
