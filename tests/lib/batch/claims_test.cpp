#include "lib/batch/claims.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "tests/support/catch.h"
#include "tests/support/process.h"

using namespace roundel;
using namespace roundel::batch;
using support::TempFolder;
namespace fs = std::filesystem;

namespace {

constexpr double kExpiry = 60;

Claims Open(const TempFolder& folder, double expiry = kExpiry) {
  auto claims = Claims::Open(folder.path(), expiry);
  REQUIRE(claims.ok());
  return std::move(claims).value();
}

bool Takes(Claims* claims, const std::string& job) {
  const auto taken = claims->Take(job);
  REQUIRE(taken.ok());
  return *taken;
}

// A claim of a process on another machine, whose last heartbeat has this age.
void WriteForeign(const TempFolder& folder, const std::string& job, int seconds_ago) {
  const std::string path = folder.Write(job, "another-boot pid:[1] 1 1\n");
  timespec times[2];
  clock_gettime(CLOCK_REALTIME, &times[0]);
  times[0].tv_sec -= seconds_ago;
  times[1] = times[0];
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

size_t FilesIn(const TempFolder& folder) {
  return static_cast<size_t>(
      std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("a job is one process's until that gives it up") {
  const TempFolder folder;
  {
    Claims first = Open(folder), second = Open(folder);
    CHECK(Takes(&first, "a"));
    CHECK_FALSE(Takes(&second, "a"));
    CHECK(Takes(&second, "b"));
    first.GiveUp("a");
    CHECK(Takes(&second, "a"));
    first.GiveUp("a");  // no longer its own
    CHECK_FALSE(Takes(&first, "a"));
  }
  CHECK(FilesIn(folder) == 0);
}

TEST_CASE("the claims of a process that was killed are free at once") {
  const TempFolder folder;
  const pid_t child = support::StartChild([&] {
    Claims claims = Open(folder);
    const bool taken = Takes(&claims, "a");
    std::ofstream(folder.path() + "/ready") << taken;
    pause();
    return 0;
  });
  while (!fs::exists(folder / "ready")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  Claims claims = Open(folder);
  CHECK_FALSE(Takes(&claims, "a"));
  kill(child, SIGKILL);
  support::WaitFor(child);
  CHECK(Takes(&claims, "a"));
}

TEST_CASE("the claims of another machine expire without a sign of life") {
  const TempFolder folder;
  Claims claims = Open(folder);
  WriteForeign(folder, "fresh", 10);
  WriteForeign(folder, "stale", 100);
  CHECK_FALSE(Takes(&claims, "fresh"));
  CHECK(Takes(&claims, "stale"));
}

TEST_CASE("what dead processes left is removed, and what lives is kept") {
  const TempFolder folder;
  WriteForeign(folder, "@elsewhere-1-0", 100);
  WriteForeign(folder, "stale", 100);
  WriteForeign(folder, "fresh", 1);
  folder.Write("torn", "");  // killed while it was written
  const Claims claims = Open(folder);
  CHECK_FALSE(fs::exists(folder / "@elsewhere-1-0"));
  CHECK_FALSE(fs::exists(folder / "stale"));
  CHECK(fs::exists(folder / "fresh"));
  CHECK(fs::exists(folder / "torn"));  // until it is old, too
}

TEST_CASE("a process renews its claims while it lives") {
  const TempFolder folder;
  Claims claims = Open(folder, 0.06);
  CHECK(Takes(&claims, "a"));
  struct stat before {
  }, after{};
  REQUIRE(stat((folder / "a").c_str(), &before) == 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  REQUIRE(claims.Renew().ok());
  REQUIRE(stat((folder / "a").c_str(), &after) == 0);
  CHECK(after.st_mtim.tv_sec * 1000 + after.st_mtim.tv_nsec / 1'000'000 >
        before.st_mtim.tv_sec * 1000 + before.st_mtim.tv_nsec / 1'000'000);
}

TEST_CASE("of many processes that want all jobs each job gets one") {
  const TempFolder folder, taken;
  constexpr int kProcesses = 4, kJobs = 60;
  for (int job = 0; job < kJobs; job += 2) WriteForeign(folder, "j" + std::to_string(job), 1000);
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p)
    children.push_back(support::StartChild([&] {
      Claims claims = Open(folder);
      for (int job = 0; job < kJobs; ++job)
        if (const std::string name = "j" + std::to_string(job); Takes(&claims, name))
          std::ofstream(taken / name, std::ios::app) << "x";
      // Until all have tried: what is given up may be taken again.
      std::ofstream(taken / ("done" + std::to_string(getpid()))) << "";
      while (true) {
        int done = 0;
        for (const auto& entry : fs::directory_iterator(taken.path()))
          done += entry.path().filename().string().starts_with("done");
        if (done == kProcesses) return 0;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    }));
  for (const pid_t child : children) CHECK(support::WaitFor(child) == 0);
  for (int job = 0; job < kJobs; ++job)
    CHECK(support::FileText(taken / ("j" + std::to_string(job))) == "x");
}

TEST_CASE("a folder that cannot be written is an error") {
  CHECK(Claims::Open("/proc/self", kExpiry).status().kind() == ErrorKind::kInternal);
}
