#include "lib/batch/pool.h"

#include <signal.h>

#include <algorithm>
#include <map>
#include <thread>

#include "lib/base/interrupt.h"
#include "tests/support/catch.h"
#include "tests/support/process.h"

using namespace roundel;
using namespace roundel::batch;
using support::TempFolder;

namespace {

// Jobs are pieces of shell.
struct Shell : PoolOwner {
  TempFolder folder;
  std::map<size_t, std::string> scripts;
  std::map<size_t, int64_t> memory;
  std::map<size_t, int> busy;          // looks until it is free
  std::map<size_t, int> again;         // repetitions
  std::vector<size_t> started, ended;  // in their order
  std::vector<Share> shares;           // of the started
  std::vector<int> codes;              // of the ended
  size_t running = 0, most = 0;
  int not_started = 0;
  size_t stop_after = 0;  // jobs; 0: never

  Claim TryClaim(size_t job) override {
    return busy[job]-- > 0 ? Claim::kBusy : scripts.contains(job) ? Claim::kMine : Claim::kDone;
  }
  int64_t MemoryOf(size_t job) override { return memory[job]; }
  Result<Launch> Prepare(size_t job, const Share& share) override {
    if (scripts[job].empty()) return InternalError("no script");
    started.push_back(job);
    shares.push_back(share);
    most = std::max(most, ++running);
    return Launch{{"/bin/sh", "-c", scripts[job]}, folder / ("log" + std::to_string(job)), {}};
  }
  Result<bool> Finished(size_t job, const Share&, const ChildEnd& end) override {
    --running;
    if (again[job]-- > 0) {
      memory[job] = INT64_MAX;
      return true;
    }
    ended.push_back(job);
    codes.push_back(end.exit_code);
    return false;
  }
  Status CouldNotStart(size_t, const Status&) override {
    ++not_started;
    return OkStatus();
  }
  bool Stops() const override { return stop_after > 0 && ended.size() >= stop_after; }
  Status Tick() override { return OkStatus(); }
};

using Order = std::vector<size_t>;

}  // namespace

TEST_CASE("jobs start in their order, as many at a time as asked for") {
  Shell shell;
  for (size_t i = 0; i < 6; ++i) shell.scripts[i] = "sleep 0.05";
  shell.scripts[3] = "exit 7";
  REQUIRE(RunPool({.jobs = 2, .all = {4, 1000}}, {5, 4, 3, 2, 1, 0, 9}, &shell).ok());
  CHECK(shell.started == Order{5, 4, 3, 2, 1, 0});  // 9 is done already
  CHECK(shell.ended.size() == 6);
  CHECK(std::count(shell.codes.begin(), shell.codes.end(), 7) == 1);
  CHECK(shell.most == 2);
}

TEST_CASE("threads and memory are shared out, the last job gets what is left") {
  Shell shell;
  for (size_t i = 0; i < 2; ++i) shell.scripts[i] = "sleep 0.1";
  REQUIRE(RunPool({.jobs = 2, .all = {4, 1000}}, {0, 1}, &shell).ok());
  CHECK(shell.shares[0].threads == 2);
  CHECK(shell.shares[1].threads == 2);
  CHECK(shell.shares[0].memory == 500);
  Shell alone;
  alone.scripts[0] = "true";
  REQUIRE(RunPool({.jobs = 3, .all = {4, 900}}, {0}, &alone).ok());
  CHECK(alone.shares[0].threads == 4);
  CHECK(alone.shares[0].memory == 300);
}

TEST_CASE("a job waits for the memory that it asks for, while smaller ones pass") {
  Shell shell;
  shell.scripts = {{0, "sleep 0.2"}, {1, "sleep 0.05"}, {2, "sleep 0.05"}};
  shell.memory = {{0, 600}, {1, 600}, {2, 300}};
  REQUIRE(RunPool({.jobs = 2, .all = {2, 1000}}, {0, 1, 2}, &shell).ok());
  CHECK(shell.started == Order{0, 2, 1});
  // A job that asks for more memory than there is runs alone, with all of it.
  Shell large;
  large.scripts = {{0, "sleep 0.05"}, {1, "sleep 0.05"}};
  large.memory = {{0, 5000}};
  REQUIRE(RunPool({.jobs = 2, .all = {2, 1000}}, {0, 1}, &large).ok());
  CHECK(large.most == 1);
  CHECK(large.shares[0].memory == 1000);
}

TEST_CASE("a job that must be run again comes after the others") {
  Shell shell;
  shell.scripts = {{0, "true"}, {1, "sleep 0.05"}, {2, "sleep 0.05"}};
  shell.again[0] = 1;
  REQUIRE(RunPool({.jobs = 2, .all = {2, 1000}}, {0, 1, 2}, &shell).ok());
  CHECK(shell.started == Order{0, 1, 2, 0});
  CHECK(shell.shares.back().memory == 1000);
}

TEST_CASE("jobs that others work on are looked at again until they are free") {
  Shell shell;
  shell.scripts = {{0, "true"}, {1, "true"}};
  shell.busy[0] = 2;
  REQUIRE(RunPool({.jobs = 2, .all = {2, 1000}}, {0, 1}, &shell).ok());
  CHECK(shell.started == Order{1, 0});
}

TEST_CASE("a job that cannot be started does not stop the others") {
  Shell shell;
  shell.scripts = {{0, ""}, {1, "true"}};
  REQUIRE(RunPool({.jobs = 1, .all = {2, 1000}}, {0, 1}, &shell).ok());
  CHECK(shell.not_started == 1);
  CHECK(shell.ended == Order{1});
}

TEST_CASE("nothing is started after the owner wants to stop") {
  Shell shell;
  for (size_t i = 0; i < 4; ++i) shell.scripts[i] = "true";
  shell.stop_after = 2;
  REQUIRE(RunPool({.jobs = 1, .all = {2, 1000}}, {0, 1, 2, 3}, &shell).ok());
  CHECK(shell.started == Order{0, 1});
}

TEST_CASE("a signal stops what runs and starts nothing more") {
  // In a process of its own: the signal is remembered.
  CHECK(support::InChild([] {
          InstallSignalHandlers();
          Shell shell;
          for (size_t i = 0; i < 4; ++i) shell.scripts[i] = "trap 'exit 130' TERM; sleep 60 & wait";
          std::thread killer([] {
            usleep(200'000);
            kill(getpid(), SIGTERM);
          });
          const Status status = RunPool({.jobs = 2, .all = {2, 1000}}, {0, 1, 2, 3}, &shell);
          killer.join();
          const bool good = status.kind() == ErrorKind::kInterrupted && shell.started.size() == 2 &&
                            shell.ended.size() == 2;
          return good ? 0 : 1;
        }) == 0);
}
