// Processes of jobs: limits, and how the end of a process is reported.

#include "lib/batch/child.h"

#include <signal.h>

#include <chrono>
#include <thread>

#include "lib/base/text.h"
#include "tests/support/catch.h"
#include "tests/support/process.h"

using namespace roundel;
using namespace roundel::batch;
using support::FileText;
using support::TempFolder;

namespace {

ChildEnd EndOf(Child* child) {
  ChildEnd end;
  while (!child->Poll(&end)) WaitForAny({child}, 0.01);
  return end;
}

std::unique_ptr<Child> Shell(const TempFolder& folder, const std::string& script,
                             const ChildLimits& limits = {}) {
  auto child = Child::Start({"/bin/sh", "-c", script}, folder / "log", limits);
  REQUIRE(child.ok());
  return std::move(*child);
}

bool Gone(const std::string& pid) {
  for (int i = 0; i < 100; ++i) {
    if (kill(std::stoi(pid), 0) != 0) return true;
    // A zombie counts as ended.
    const std::string stat = FileText("/proc/" + pid + "/stat");
    if (stat.find(") Z ") != std::string::npos) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

}  // namespace

TEST_CASE("a process ends with its code, its output in the log, and empty input") {
  const TempFolder folder;
  const auto child = Shell(folder, "cat; echo out; echo err >&2; exit 7");
  const ChildEnd end = EndOf(child.get());
  CHECK(end.exit_code == 7);
  CHECK(end.signal == 0);
  CHECK(FileText(folder / "log") == "out\nerr\n");
  CHECK(end.peak_memory > 100'000);
}

TEST_CASE("a crash is told as its signal, and a missing program as an exit code") {
  const TempFolder folder;
  const ChildEnd end = EndOf(Shell(folder, "kill -SEGV $$").get());
  CHECK(end.signal == SIGSEGV);
  CHECK(end.exit_code == 128 + SIGSEGV);
  const auto none = Child::Start({folder / "none"}, folder / "log", {});
  REQUIRE(none.ok());
  CHECK(EndOf(none->get()).exit_code == 127);
  CHECK_FALSE(Child::Start({"/bin/true"}, folder / "no/folder/log", {}).ok());
}

TEST_CASE("a time limit ends the process and what it has started") {
  const TempFolder folder;
  const auto start = std::chrono::steady_clock::now();
  const auto child = Shell(folder, "sleep 100 & echo $!; wait", {.timeout = 0.2});
  const ChildEnd end = EndOf(child.get());
  CHECK(end.timed_out);
  CHECK_FALSE(end.stopped);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  CHECK(Gone(std::string(Trim(FileText(folder / "log")))));
}

TEST_CASE("a process that ignores the signal to stop is killed") {
  const TempFolder folder;
  const auto child = Shell(folder, "trap '' TERM; while :; do sleep 0.05; done", {.timeout = 0.1});
  const ChildEnd end = EndOf(child.get());
  CHECK(end.timed_out);
  CHECK(end.signal == SIGKILL);
}

TEST_CASE("a memory limit ends the process") {
  const TempFolder folder;
  // A shell that doubles a string.
  const auto child =
      Shell(folder, "x=0123456789abcdef; while :; do x=$x$x; done", {.memory = 50'000'000});
  const ChildEnd end = EndOf(child.get());
  CHECK(end.over_memory);
  CHECK(end.signal == SIGKILL);
}

TEST_CASE("a process that is asked to stop may end in its own way") {
  const TempFolder folder;
  const auto child = Shell(folder, "trap 'exit 130' TERM; echo on; while :; do sleep 0.02; done");
  while (FileText(folder / "log").empty()) WaitForAny({child.get()}, 0.01);
  child->Stop();
  child->Stop();
  const ChildEnd end = EndOf(child.get());
  CHECK(end.stopped);
  CHECK(end.exit_code == 130);
}

TEST_CASE("no process outlives the one that looks after it") {
  const TempFolder folder;
  const pid_t keeper = support::StartChild([&] {
    const auto child =
        Child::Start({"/bin/sh", "-c", "echo $$; exec sleep 100"}, folder / "log", {});
    pause();
    return child.ok() ? 0 : 1;
  });
  while (FileText(folder / "log").empty())
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  kill(keeper, SIGKILL);
  support::WaitFor(keeper);
  CHECK(Gone(std::string(Trim(FileText(folder / "log")))));
}
