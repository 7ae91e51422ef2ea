#include "lib/base/interrupt.h"

#include <signal.h>

#include <atomic>

#include "lib/base/ending.h"
#include "lib/base/input_file.h"

namespace roundel {
namespace {

std::atomic<bool> interrupted{false};
std::atomic<int> uninterrupted_scopes{0};

void OnSignal(int signal_number) {
  if (interrupted.exchange(true) && uninterrupted_scopes == 0) EndProcess(128 + signal_number, {});
}

void OnBusError(int, siginfo_t* info, void*) {
  EndIfMapped(info->si_addr);
  signal(SIGBUS, SIG_DFL);  // the access is repeated when this returns
}

}  // namespace

void InstallSignalHandlers() {
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction inherited {};
    sigaction(number, nullptr, &inherited);
    // Set by nohup: the process must continue.
    if (number == SIGHUP && inherited.sa_handler == SIG_IGN) continue;
    sigaction(number, &action, nullptr);
  }
  struct sigaction bus {};
  bus.sa_sigaction = OnBusError;
  bus.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &bus, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}

bool Interrupted() { return interrupted; }
void RequestInterrupt() { interrupted = true; }

UninterruptedScope::UninterruptedScope() { ++uninterrupted_scopes; }
UninterruptedScope::~UninterruptedScope() { --uninterrupted_scopes; }

}  // namespace roundel
