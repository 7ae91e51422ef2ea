#include "lib/batch/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "lib/base/clock.h"
#include "lib/base/text.h"

namespace roundel::batch {
namespace {

// Seconds between the signal to stop and the end. Slurm gives us 30 after its
// own signal.
constexpr double kGrace = 20, kGraceAfterTimeout = 5;

// In the child, where nothing may allocate. `parent`: that which started it.
void PrepareChild(int log, pid_t parent) {
  // Ctrl-C goes to the whole group of the terminal: the parent passes on what
  // must be passed on.
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  const int null = open("/dev/null", O_RDONLY);
  if (null >= 0) dup2(null, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
}

// Memory of its own, without that of mapped files, which the system can take
// back; in bytes.
int64_t PrivateMemory(pid_t pid) {
  std::ifstream file(StrCat("/proc/", pid, "/statm"));
  int64_t size = 0, resident = 0, shared = 0;
  file >> size >> resident >> shared;
  return (resident - shared) * sysconf(_SC_PAGESIZE);
}

// How many processes the system has killed for lack of memory since it was
// started.
int64_t OomKills() {
  std::ifstream file("/proc/vmstat");
  int64_t count = 0;
  for (std::string name; file >> name >> count;)
    if (name == "oom_kill") return count;
  return 0;
}

}  // namespace

Result<std::unique_ptr<Child>> Child::Start(const std::vector<std::string>& args,
                                            const std::string& log, const ChildLimits& limits) {
  const int out =
      open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_APPEND, 0666);
  if (out < 0) return InternalError(StrCat("cannot write '", log, "': ", std::strerror(errno)));
  std::vector<char*> words;
  for (const std::string& arg : args) words.push_back(const_cast<char*>(arg.c_str()));
  words.push_back(nullptr);
  std::unique_ptr<Child> child(new Child);
  child->limits_ = limits;
  child->oom_kills_ = OomKills();
  child->start_ = SteadySeconds();
  const pid_t parent = getpid();
  child->pid_ = fork();
  if (child->pid_ == 0) {
    PrepareChild(out, parent);
    execv(words[0], words.data());
    _exit(127);
  }
  close(out);
  if (child->pid_ < 0)
    return InternalError(StrCat("cannot start a process: ", std::strerror(errno)));
  setpgid(child->pid_, child->pid_);
  child->fd_ = static_cast<int>(syscall(SYS_pidfd_open, child->pid_, 0));
  return child;
}

Child::~Child() {
  if (pid_ > 0) {
    Signal(SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (fd_ >= 0) close(fd_);
}

double Child::Seconds() const { return SteadySeconds() - start_; }

// The group: what the job has started ends with it.
void Child::Signal(int number) {
  if (kill(-pid_, number) != 0) kill(pid_, number);
}

void Child::Stop() {
  if (stop_at_ > 0) return;
  stop_at_ = SteadySeconds();
  end_.stopped = true;
  Signal(SIGTERM);
}

void Child::CheckLimits() {
  if (stop_at_ > 0) {
    if (SteadySeconds() - stop_at_ > (end_.timed_out ? kGraceAfterTimeout : kGrace))
      Signal(SIGKILL);
    return;
  }
  if (limits_.timeout > 0 && Seconds() > limits_.timeout) {
    Stop();
    end_.stopped = false;
    end_.timed_out = true;
  }
  if (limits_.memory > 0 && PrivateMemory(pid_) > limits_.memory) {
    end_.over_memory = true;
    Signal(SIGKILL);
  }
}

bool Child::Poll(ChildEnd* end) {
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      info.si_pid == 0) {
    CheckLimits();
    return false;
  }
  kill(-pid_, SIGKILL);  // what it has left behind; before its number can be given to others
  int status = 0;
  rusage usage{};
  const pid_t ended = wait4(pid_, &status, 0, &usage);
  pid_ = -1;
  end_.seconds = Seconds();
  end_.peak_memory = static_cast<int64_t>(usage.ru_maxrss) * 1024;
  end_.signal = ended > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  end_.exit_code = end_.signal != 0 ? 128 + end_.signal : ended > 0 ? WEXITSTATUS(status) : 1;
  const bool by_others = end_.signal == SIGKILL && !end_.over_memory && stop_at_ == 0;
  end_.oom_killed = by_others && OomKills() > oom_kills_;
  *end = end_;
  return true;
}

void WaitForAny(const std::vector<const Child*>& children, double seconds) {
  std::vector<pollfd> fds;
  for (const Child* child : children) {
    constexpr double kShort = 0.002;
    if (child->fd() < 0) seconds = std::min(seconds, kShort);
    fds.push_back({.fd = child->fd(), .events = POLLIN});
  }
  poll(fds.data(), fds.size(), static_cast<int>(seconds * 1000));
}

}  // namespace roundel::batch
