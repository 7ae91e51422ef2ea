#include "lib/base/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "lib/base/commit_group.h"
#include "lib/base/input_file.h"
#include "lib/base/interrupt.h"
#include "tests/support/catch.h"
#include "tests/support/process.h"
#include "tests/support/temp_folder.h"

namespace roundel {
namespace {

using support::InChild;
using support::TempFolder;
namespace fs = std::filesystem;

int FilesIn(const std::string& folder) {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) ++count;
  return count;
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
    InstallSignalHandlers();
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

TEST_CASE("what is no regular file is refused at once, with the kind that its reader wants") {
  const TempFolder folder;
  const std::string fifo = folder / "fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  // A child, so that waiting for a writer would end in SIGALRM.
  CHECK(InChild([&] {
          const auto mapped = OpenInput(fifo, ErrorKind::kModel);
          const auto text = ReadInputText(fifo, ErrorKind::kData);
          const auto device = MappedFile::Open("/dev/zero");
          return mapped.status().kind() == ErrorKind::kModel &&
                         text.status().kind() == ErrorKind::kData &&
                         text.status().message() == "'" + fifo + "' is not a regular file" &&
                         device.status().kind() == ErrorKind::kUsage
                     ? 0
                     : 1;
        }) == 0);
  CHECK(OpenInput(folder / "none", ErrorKind::kModel).status().kind() == ErrorKind::kModel);
  CHECK(ReadInputText(folder / "none", ErrorKind::kData).status().kind() == ErrorKind::kData);
}

TEST_CASE("a mapped file that is cut while it is read ends the process with a line that names it") {
  const TempFolder folder;
  for (const auto& [kind, code] : {std::pair{ErrorKind::kModel, 3}, {ErrorKind::kData, 4}}) {
    const std::string path = folder.Write("model.onnx", std::string(100'000, 'x'));
    const std::string err = folder / "err";
    CHECK(InChild([&] {
            support::RedirectTo(err, STDERR_FILENO);
            InstallSignalHandlers();
            const auto file = OpenInput(path, kind);
            truncate(path.c_str(), 10);
            volatile std::byte last = (*file)->bytes()[99'999];
            static_cast<void>(last);
            return 0;
          }) == code);
    CHECK(support::FileText(err) ==
          "error: '" + path +
              "' can no longer be read: it was truncated while in use, or its disk fails\n");
  }
}

TEST_CASE("a bus error elsewhere stays one") {
  const TempFolder folder;
  const std::string path = folder.Write("other", std::string(100'000, 'x'));
  const int code = InChild([&] {
    InstallSignalHandlers();
    const int fd = open(path.c_str(), O_RDONLY);
    const auto* bytes =
        static_cast<const volatile char*>(mmap(nullptr, 100'000, PROT_READ, MAP_PRIVATE, fd, 0));
    truncate(path.c_str(), 10);
    return int{bytes[99'999]};
  });
  CHECK((code == -SIGBUS || code > 0));  // a sanitizer reports it and exits
}

namespace {

std::string TemporaryIn(const TempFolder& folder) {
  for (const auto& entry : fs::directory_iterator(folder.path()))
    if (entry.path().string().find(".tmp-") != std::string::npos) return entry.path().string();
  return "";
}

}  // namespace

TEST_CASE("temporary names cannot be foreseen, and permissions are what the umask leaves") {
  const TempFolder folder;
  const std::string path = folder / "out";
  std::set<std::string> names;
  for (int i = 0; i < 20; ++i) {
    const auto file = AtomicFile::Create(path);
    REQUIRE(file.ok());
    names.insert(TemporaryIn(folder));
  }
  CHECK(names.size() == 20);
  CHECK(FilesIn(folder.path()) == 0);
  for (const mode_t mask : {mode_t{022}, mode_t{077}}) {
    const mode_t before = umask(mask);
    REQUIRE(WriteFileAtomically(path, "x").ok());
    umask(before);
    struct stat info {};
    REQUIRE(stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == (0666 & ~mask));
  }
}

TEST_CASE("two writers of one file do not disturb each other") {
  const TempFolder folder;
  const std::string path = folder / "out";
  auto first = AtomicFile::Create(path), second = AtomicFile::Create(path);
  REQUIRE((*first)->Write("first").ok());
  REQUIRE((*second)->Write("second").ok());
  REQUIRE((*first)->Commit().ok());
  CHECK(*ReadTextFile(path) == "first");
  REQUIRE((*second)->Commit().ok());
  CHECK(*ReadTextFile(path) == "second");
  CHECK(FilesIn(folder.path()) == 1);
}

TEST_CASE("a link is replaced, what it points to stays as it is") {
  const TempFolder folder;
  const std::string aim = folder.Write("aim", "untouched"), link = folder / "link";
  fs::create_symlink(aim, link);
  REQUIRE(WriteFileAtomically(link, "new").ok());
  CHECK_FALSE(fs::is_symlink(link));
  CHECK(*ReadTextFile(link) == "new");
  CHECK(*ReadTextFile(aim) == "untouched");
}

TEST_CASE("a name of the longest length can be written") {
  const TempFolder folder;
  const std::string path = folder / std::string(255, 'n');
  REQUIRE(WriteFileAtomically(path, "x").ok());
  CHECK(*ReadTextFile(path) == "x");
}

TEST_CASE("several files get their names together, or none does") {
  const TempFolder folder;
  const auto write = [&] {
    for (const char* name : {"a", "b", "c"})
      if (!WriteFileAtomically(folder / name, "new").ok()) return false;
    return true;
  };
  CHECK(InChild([&] {
          CommitGroup group;
          if (!write() || FileExists(folder / "a")) return 1;
          RequestInterrupt();
          return group.Finish().kind() == ErrorKind::kInterrupted ? 0 : 2;
        }) == 0);
  RemoveLeftovers(folder.path());  // _exit() runs no destructor
  REQUIRE(FilesIn(folder.path()) == 0);
  {
    const CommitGroup unfinished;
    REQUIRE(write());
    CHECK(FilesIn(folder.path()) == 3);
  }
  CHECK(FilesIn(folder.path()) == 0);
  CommitGroup group;
  REQUIRE(write());
  REQUIRE(group.Finish().ok());
  for (const char* name : {"a", "b", "c"}) CHECK(*ReadTextFile(folder / name) == "new");
  CHECK(FilesIn(folder.path()) == 3);
}

TEST_CASE("a second signal waits while files get their names") {
  CHECK(InChild([] {
          InstallSignalHandlers();
          raise(SIGHUP);
          {
            const UninterruptedScope scope;
            raise(SIGTERM);
          }
          if (!Interrupted()) return 1;
          raise(SIGTERM);
          return 2;
        }) == 128 + SIGTERM);
}

TEST_CASE("a hang-up that is ignored stays so") {
  CHECK(InChild([] {
          signal(SIGHUP, SIG_IGN);
          InstallSignalHandlers();
          raise(SIGHUP);
          return Interrupted() ? 1 : 0;
        }) == 0);
}

TEST_CASE("a file that grows too large is an error that says so") {
  const TempFolder folder;
  const std::string path = folder / "out";
  CHECK(InChild([&] {
          InstallSignalHandlers();  // SIGXFSZ would end the process
          const rlimit limit = {.rlim_cur = 1000, .rlim_max = 1000};
          setrlimit(RLIMIT_FSIZE, &limit);
          const Status status = WriteFileAtomically(path, std::string(5000, 'x'));
          return status.message() == "cannot write '" + path + "': File too large" ? 0 : 1;
        }) == 0);
}

TEST_CASE("leftovers of killed processes are removed, and nothing else") {
  const TempFolder folder;
  const std::string path = folder / "out";
  const auto kill_while_writing = [&](const std::string& name) {
    return InChild([&] {
      const auto file = AtomicFile::Create(folder / name);
      if (!file.ok() || !(*file)->Write("half").ok()) return 1;
      raise(SIGKILL);
      return 2;
    });
  };
  REQUIRE(kill_while_writing("out") == -SIGKILL);
  REQUIRE(kill_while_writing("other") == -SIGKILL);
  CHECK(FilesIn(folder.path()) == 2);
  const auto mine = AtomicFile::Create(path);  // in use
  REQUIRE(mine.ok());
  folder.Write("out.tmp-notes", "");
  folder.Write("out.tmp-0123456789abcdef.txt", "");
  const std::string aim = folder.Write("aim", "");
  fs::create_symlink(aim, folder / "out.tmp-0123456789abcdef");
  CHECK(FilesIn(folder.path()) == 7);
  RemoveLeftovers(folder.path(), "out");
  CHECK(FilesIn(folder.path()) == 6);
  RemoveLeftovers(folder.path());
  CHECK(FilesIn(folder.path()) == 5);
  CHECK((*mine)->Commit().ok());
  CHECK(fs::exists(path));
  RemoveLeftovers(folder / "none");  // no folder, nothing to do
}

}  // namespace roundel
