#include "lib/base/file.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include <catch2/catch.hpp>

#include "lib/base/interrupt.h"
#include "tests/support/temp_folder.h"

namespace roundel {
namespace {

using support::TempFolder;
namespace fs = std::filesystem;

int FilesIn(const std::string& folder) {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) ++count;
  return count;
}

// Runs `body` in a process of its own; its exit code, or -signal.
template <typename Body>
int InChild(const Body& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("mapped files") {
  const TempFolder folder;
  const auto file = MappedFile::Open(folder.Write("a", "hello"));
  REQUIRE(file.ok());
  CHECK((*file)->bytes().size() == 5);
  CHECK(static_cast<char>((*file)->bytes()[4]) == 'o');
  CHECK((*MappedFile::Open(folder.Write("empty", "")))->bytes().empty());
  CHECK(*ReadTextFile(folder / "a") == "hello");
  CHECK(*ReadTextFile(folder / "empty") == "");
}

TEST_CASE("what cannot be mapped") {
  const TempFolder folder;
  const auto none = MappedFile::Open(folder / "none");
  CHECK(none.status().kind() == ErrorKind::kUsage);
  CHECK(none.status().message() ==
        "cannot open '" + (folder / "none") + "': No such file or directory");
  CHECK(MappedFile::Open(folder.path()).status().message() ==
        "'" + folder.path() + "' is not a regular file");
}

TEST_CASE("files appear whole or not at all") {
  const TempFolder folder;
  const std::string path = folder.Write("out", "old");
  {
    auto file = AtomicFile::Create(path);
    REQUIRE(file.ok());
    REQUIRE((*file)->Write("new contents").ok());
    CHECK(*ReadTextFile(path) == "old");
    CHECK(FilesIn(folder.path()) == 2);
  }  // not committed
  CHECK(*ReadTextFile(path) == "old");
  CHECK(FilesIn(folder.path()) == 1);
  auto file = AtomicFile::Create(path);
  REQUIRE((*file)->Write("abc").ok());
  REQUIRE((*file)->PadTo(4096).ok());
  CHECK((*file)->position() == 4096);
  REQUIRE((*file)->PadTo(64).ok());  // already there
  REQUIRE((*file)->Write("d").ok());
  REQUIRE((*file)->PadTo(10000).ok());
  REQUIRE((*file)->Commit().ok());
  CHECK(*ReadTextFile(path) ==
        "abc" + std::string(4093, '\0') + "d" + std::string(10000 - 4097, '\0'));
  CHECK(FilesIn(folder.path()) == 1);
  REQUIRE(WriteFileAtomically(path, "short").ok());
  CHECK(*ReadTextFile(path) == "short");
}

TEST_CASE("what cannot be written") {
  const TempFolder folder;
  CHECK(AtomicFile::Create(folder.path()).status().message() ==
        "cannot write '" + folder.path() + "': it is a folder");
  CHECK(WriteFileAtomically(folder / "none/file", "x").kind() == ErrorKind::kUsage);
}

TEST_CASE("a failed write is an error, and the old file stays") {
  const TempFolder folder;
  const std::string path = folder.Write("out", "old");
  const int code = InChild([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {.rlim_cur = 1000, .rlim_max = 1000};  // as good as a full disk
    setrlimit(RLIMIT_FSIZE, &limit);
    const Status status = WriteFileAtomically(path, std::string(5000, 'x'));
    return status.kind() == ErrorKind::kInternal ? 0 : 1;
  });
  CHECK(code == 0);
  CHECK(*ReadTextFile(path) == "old");
  CHECK(FilesIn(folder.path()) == 1);
}

TEST_CASE("an interruption keeps the old file") {
  CHECK(InChild([] {
          const TempFolder folder;
          const std::string path = folder.Write("out", "old");
          RequestInterrupt();
          const Status status = WriteFileAtomically(path, "new");
          return Interrupted() && status.kind() == ErrorKind::kInterrupted &&
                         *ReadTextFile(path) == "old" && FilesIn(folder.path()) == 1
                     ? 0
                     : 1;
        }) == 0);
}

TEST_CASE("the second signal ends the process and removes temporary files") {
  const TempFolder folder;
  const std::string path = folder.Write("out", "old");
  const int code = InChild([&] {
    InstallInterruptHandler();
    auto file = AtomicFile::Create(path);
    raise(SIGINT);
    if (!Interrupted()) return 1;
    raise(SIGINT);
    return 2;
  });
  CHECK(code == 130);
  CHECK(FilesIn(folder.path()) == 1);
  CHECK(*ReadTextFile(path) == "old");
}

}  // namespace roundel
