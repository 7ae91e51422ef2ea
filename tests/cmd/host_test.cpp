// The program without memory or threads, under signals, and with closed pipes. These tests run the
// binary, because they affect a whole process.

#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <thread>

#include "lib/base/ending.h"
#include "tests/cmd/cli.h"
#include "tests/support/process.h"

using namespace roundel;
using namespace roundel::support;
namespace fs = std::filesystem;

namespace {

const std::string kProgram = std::string(ROUNDEL_BINARY_DIR) + "/roundel";
const std::string kSample = std::string(ROUNDEL_SOURCE_DIR) + "/testdata/sample";

std::vector<std::string> Quantize(const std::string& out) {
  return {kProgram,
          "quantize",
          kSample + "/model.onnx",
          "--calib",
          kSample + "/calib",
          "--preset",
          "tf",
          "--count",
          "8",
          "-o",
          out,
          "-q"};
}

#if !defined(__SANITIZE_ADDRESS__)  // which needs terabytes of addresses
void LimitAddressSpace(rlim_t bytes) {
  const rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};
  setrlimit(RLIMIT_AS, &limit);
}

// The least address space, in MB, in which the program can be loaded at all.
rlim_t LeastMegabytes() {
  rlim_t low = 8, high = 4096;
  while (high - low > 1) {
    const rlim_t middle = (low + high) / 2;
    const auto result =
        RunProgram({kProgram, "--version"}, [&] { LimitAddressSpace(middle << 20); });
    (result.code == 0 ? high : low) = middle;
  }
  return high;
}

bool IsOutOfMemory(const ProcessResult& result) {
  const bool one_line = std::count(result.err.begin(), result.err.end(), '\n') == 1;
  return result.code == 1 && one_line && result.out.empty() && result.err.starts_with("error: ") &&
         result.err.find("out of memory: ") != std::string::npos &&
         result.err.find("--threads") != std::string::npos;
}
#endif

}  // namespace

#if !defined(__SANITIZE_ADDRESS__)
TEST_CASE("under any limit of memory the program succeeds or says in one line that there is none") {
  const TempFolder folder;
  const std::string model = kSample + "/model.onnx";
  const std::vector<std::vector<std::string>> commands = {
      {kProgram, "inspect", model, "-q"},
      {kProgram, "eval", model, "--data", kSample + "/test_images.npy", "--labels",
       kSample + "/test_labels.npy", "--preset", "tf", "--count", "40", "-q"},
      Quantize(folder / "out.onnx")};
  const rlim_t least = LeastMegabytes();
  for (std::vector<std::string> command : commands) {
    int done = 0, refused = 0;
    for (const char* threads : {"1", "4"}) {
      std::vector<std::string> args = command;
      args.insert(args.end(), {"--threads", threads});
      for (rlim_t above = 1; above < 1500; above += 1 + above / 4) {
        const auto result = RunProgram(args, [&] { LimitAddressSpace((least + above) << 20); });
        INFO(args[1] << " on " << threads << " threads, " << above << " MB above " << least << ": "
                     << result.code << " " << result.err);
        done += result.code == 0;
        refused += IsOutOfMemory(result);
        CHECK((result.code == 0 || IsOutOfMemory(result)));
      }
    }
    INFO(command[1]);
    CHECK(done > 0);
    CHECK((refused > 0 ||
           command[1] == "inspect"));  // which needs little more than it takes to start
  }
  for (const std::string& name : FilesIn(folder)) CHECK(name.find(".tmp-") == std::string::npos);
}

TEST_CASE("threads that cannot be started are a lack of memory, too") {
  const TempFolder folder;
  std::vector<std::string> args = Quantize(folder / "out.onnx");
  args.insert(args.end(), {"--threads", "1000"});
  const auto result = RunProgram(args, [&] { LimitAddressSpace(rlim_t{1} << 30); });
  INFO(result.code << " " << result.err);
  CHECK(IsOutOfMemory(result));
}
#endif

namespace {

const std::vector<std::string> kOutputs = {"out.onnx", "out.encodings.json", "out.recipe.yaml",
                                           "out.report.json"};

// The inode of each file; 0 if it does not exist.
std::vector<ino_t> Inodes(const TempFolder& folder) {
  std::vector<ino_t> inodes;
  for (const std::string& name : kOutputs) {
    struct stat info {};
    inodes.push_back(stat((folder / name).c_str(), &info) == 0 ? info.st_ino : 0);
  }
  return inodes;
}

bool AnyTemporary(const TempFolder& folder) {
  for (const std::string& name : FilesIn(folder))
    if (name.find(".tmp-") != std::string::npos) return true;
  return false;
}

// Starts `args`, sends the signal as soon as `now` returns true, and returns the exit code.
template <typename Now>
int Interrupt(const std::vector<std::string>& args, int signal_number, const Now& now) {
  const TempFolder folder;
  const pid_t child = StartProgram(args, folder / "out", folder / "err");
  int status = 0;
  bool sent = false;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (sent || !now()) continue;
    kill(child, signal_number);
    sent = true;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// Either all outputs are the old ones or all are new, and there are no other files.
void CheckAllOrNone(const TempFolder& folder, const std::vector<ino_t>& before, int code) {
  const std::vector<ino_t> after = Inodes(folder);
  size_t replaced = 0;
  for (size_t i = 0; i < after.size(); ++i) replaced += after[i] != before[i];
  INFO("exit code " << code << ", " << replaced << " files replaced");
  CHECK((code == 0 || code == 130));
  CHECK((replaced == 0 || replaced == after.size()));
  CHECK((code == 0) == (replaced != 0));
  CHECK_FALSE(AnyTemporary(folder));
}

}  // namespace

TEST_CASE("a signal while outputs are written leaves all of them old or all new") {
  const TempFolder folder;
  const std::vector<std::string> args = Quantize(folder / "out.onnx");
  for (const bool replace : {false, true}) {
    for (const int number : {SIGTERM, SIGHUP, SIGINT}) {
      // At the first temporary file, and at the first file with its final name.
      for (const bool renamed : {false, true}) {
        if (!replace)
          for (const std::string& name : kOutputs) fs::remove(folder / name);
        const std::vector<ino_t> before = Inodes(folder);
        const int code = Interrupt(args, number, [&] {
          return renamed ? Inodes(folder) != before : AnyTemporary(folder);
        });
        INFO("signal " << number << (renamed ? " after the first name" : " before any name"));
        CheckAllOrNone(folder, before, code);
        if (Inodes(folder)[0] == 0) {
          REQUIRE(RunProgram(args).code == 0);
        }
      }
    }
  }
}

TEST_CASE("signals at any moment leave all outputs old or all new") {
  const TempFolder folder;
  const std::vector<std::string> args = Quantize(folder / "out.onnx");
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(RunProgram(args).code == 0);
  const auto whole = std::chrono::steady_clock::now() - start;
  constexpr int kTimes = 12;
  for (int i = 0; i < kTimes; ++i) {
    const std::vector<ino_t> before = Inodes(folder);
    const auto begin = std::chrono::steady_clock::now();
    // A signal before the handlers are installed ends the program.
    const int code = Interrupt(args, SIGTERM, [&] {
      return std::chrono::steady_clock::now() - begin > whole * (i + 3) / (kTimes + 2);
    });
    if (code != -SIGTERM) CheckAllOrNone(folder, before, code);
  }
}

namespace {

// Runs a command with its output in a pipe that has no reader.
ProcessResult WithoutReader(const std::vector<std::string>& args) {
  return RunProgram(args, [] {
    int ends[2];
    if (pipe(ends) != 0) _exit(127);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
  });
}

}  // namespace

TEST_CASE("a reader that has gone away is no error, a full disk is one") {
  const TempFolder folder;
  const std::string model = kSample + "/model.onnx";
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{kProgram, "--help"},
                                             {kProgram, "quantize", "--help"},
                                             {kProgram, "passes"},
                                             {kProgram, "targets", "--json"},
                                             {kProgram, "inspect", model},
                                             {kProgram, "quantize", model, "--print-recipe"}}) {
    INFO(args[1]);
    const ProcessResult gone = WithoutReader(args);
    CHECK(gone.code == 0);
    CHECK(gone.err.empty());
    const ProcessResult full = RunProgram(args, [] {
      const int fd = open("/dev/full", O_WRONLY);
      dup2(fd, STDOUT_FILENO);
    });
    CHECK(full.code == 1);
    CHECK(full.err == "error: cannot write to standard output\n");
  }
}

TEST_CASE("without standard output files are written as always") {
  const TempFolder folder;
  std::vector<std::string> args = Quantize(folder / "out.onnx");
  args.pop_back();  // -q
  const ProcessResult closed = RunProgram(args, [] {
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
  });
  CHECK(closed.code == 0);
  CHECK(io::ReadOnnx(folder / "out.onnx").ok());
  args[args.size() - 1] = folder / "again.onnx";
  REQUIRE(RunProgram(args).code == 0);
  CHECK(Contents(folder / "out.onnx") == Contents(folder / "again.onnx"));
}

TEST_CASE("pipes are refused at once, whatever they are given as") {
  const TempFolder folder;
  const std::string model = kSample + "/model.onnx", out = folder / "out.onnx";
  const auto fifo = [&](const std::string& name) {
    const std::string path = folder / name;
    mkfifo(path.c_str(), 0600);
    return path;
  };
  const std::string npy = kSample + "/test_images.npy";
  for (const auto& [code, args] : std::vector<std::pair<int, std::vector<std::string>>>{
           {3, {"inspect", fifo("m.onnx")}},
           {3, {"lint", folder / "m.onnx"}},
           {4, {"quantize", model, "--calib", fifo("x.npy"), "-o", out}},
           {4, {"quantize", model, "--calib", fifo("x.npz"), "-o", out}},
           {4, {"eval", model, "--data", npy, "--labels", fifo("labels.txt")}},
           {4, {"quantize", model, "--stats-in", fifo("stats.json"), "-o", out}},
           {2, {"quantize", model, "--recipe", fifo("recipe.yaml"), "-o", out}},
           {2, {"quantize", model, "--target", fifo("target.yaml"), "-o", out}},
           {2, {"export", model, "--encodings", fifo("e.json"), "-o", out}},
           {2, {"quantize", model, "--calib", npy, "-o", fifo("o.onnx")}}}) {
    std::vector<std::string> all = args;
    all.insert(all.begin(), kProgram);
    all.push_back("-q");
    const ProcessResult result = RunProgram(all);
    INFO(args[0] << " " << args[args.size() - 1] << ": " << result.code << " " << result.err);
    CHECK(result.code == code);
    CHECK(result.err.find("is not a regular file") != std::string::npos);
  }
}
