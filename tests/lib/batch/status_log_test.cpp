#include "lib/batch/status_log.h"

#include <sys/wait.h>
#include <unistd.h>

#include <limits>
#include <set>

#include "lib/base/input_file.h"
#include "lib/batch/classify.h"
#include "tests/support/catch.h"
#include "tests/support/process.h"

using namespace roundel;
using namespace roundel::batch;
using support::TempFolder;

namespace {

JobResult Sample(const std::string& id) {
  return {.id = id,
          .hash = "0123456789abcdef",
          .exit_code = 5,
          .kind = "gate",
          .message = "a \"quoted\"\nline \xff",
          .seconds = 1.5,
          .peak_memory = 123,
          .model_bytes = 10,
          .output_bytes = 5,
          .metrics = {{"check_sqnr_db", 33.25}},
          .gates = R"([{"name":"max_drop","verdict":"failed"}])",
          .output = "a/a.onnx",
          .report = "a/a.report.json",
          .timeout = 90,
          .memory = 1000};
}

}  // namespace

TEST_CASE("a status line reads back as it was written, in one line") {
  const JobResult result = Sample("a");
  const std::string line = StatusLine(result);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(line.starts_with(R"({"schema":"roundel.status/1","id":"a",)"));
  const auto read = ParseStatusLine(line);
  REQUIRE(read);
  CHECK(StatusLine(*read) == line);
  CHECK(read->kind == "gate");
  CHECK(read->exit_code == 5);
  CHECK(read->seconds == 1.5);
  CHECK(read->metrics == result.metrics);
  CHECK(read->gates == result.gates);
  CHECK(read->timeout == 90);
  CHECK(read->memory == 1000);
}

TEST_CASE("numbers that JSON cannot hold are not written as text") {
  JobResult result = Sample("a");
  result.metrics = {{"check_sqnr_db", std::numeric_limits<double>::infinity()}};
  const auto read = ParseStatusLine(StatusLine(result));
  REQUIRE(read);
  CHECK(read->metrics.empty());  // null
}

TEST_CASE("lines that are cut short, or something else, are no results") {
  const std::string line = StatusLine(Sample("a"));
  for (size_t length = 0; length < line.size(); ++length)
    CHECK_FALSE(ParseStatusLine(line.substr(0, length)));
  for (const char* text : {"null", "[]", "{}", R"({"schema":"roundel.status/2","id":"a"})",
                           R"({"schema":"roundel.status/1","id":3,"hash":"x","kind":"ok"})"})
    CHECK_FALSE(ParseStatusLine(text));
}

TEST_CASE("the newest line of a job counts, and a torn one is passed over") {
  const TempFolder folder;
  const std::string path = folder / "status.jsonl";
  StatusLog log(path);
  REQUIRE(log.Refresh().ok());
  CHECK(log.Find("a") == nullptr);
  JobResult result = Sample("a");
  REQUIRE(log.Append(result).ok());
  // A process that was killed left half a line.
  folder.Write("status.jsonl", StatusLine(result) + "\n" + R"({"schema":"rou)");
  result.kind = "ok";
  REQUIRE(log.Append(result).ok());
  REQUIRE(log.Refresh().ok());
  REQUIRE(log.Find("a") != nullptr);
  CHECK(log.Find("a")->kind == "ok");
  CHECK(log.damaged_lines() == 1);
  REQUIRE(log.Append(Sample("b")).ok());
  REQUIRE(log.Refresh().ok());
  CHECK(log.Find("b") != nullptr);
  CHECK(log.Find("c") == nullptr);
}

TEST_CASE("a line that is being written is read when it is complete") {
  const TempFolder folder;
  const std::string line = StatusLine(Sample("a"));
  folder.Write("status.jsonl", line.substr(0, 40));
  StatusLog log(folder / "status.jsonl");
  REQUIRE(log.Refresh().ok());
  CHECK(log.Find("a") == nullptr);
  folder.Write("status.jsonl", line + "\n");
  REQUIRE(log.Refresh().ok());
  CHECK(log.Find("a") != nullptr);
  CHECK(log.damaged_lines() == 0);
}

TEST_CASE("several processes append without losing a line") {
  const TempFolder folder;
  const std::string path = folder / "lines";
  constexpr int kProcesses = 4, kLines = 200;
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p)
    children.push_back(support::StartChild([&] {
      for (int i = 0; i < kLines; ++i)
        if (!AppendLine(path, std::to_string(p) + " " + std::to_string(i), false).ok()) return 1;
      return 0;
    }));
  for (const pid_t child : children) CHECK(support::WaitFor(child) == 0);
  std::set<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.insert(line);
  CHECK(lines.size() == kProcesses * kLines);
}

TEST_CASE("a log in a folder that cannot be written is an error") {
  CHECK(StatusLog("/proc/status.jsonl").Append(Sample("a")).kind() == ErrorKind::kInternal);
}

TEST_CASE("the worst output stands for a model, and other facts are taken over") {
  JobResult result;
  ReadReport(
      R"({"facts": {"model_bytes": 77, "check_sqnr_db a": 30.5, "check_sqnr_db b": 20.25,
          "check_sqnr_db c": null, "check_samples": 8, "eval_samples": 9, "eval_top1_float": 71.5},
          "gates": [{"name": "max_drop"}]})",
      &result);
  CHECK(result.metrics == std::vector<std::pair<std::string, double>>{{"check_sqnr_db", 20.25},
                                                                      {"eval_top1_float", 71.5}});
  CHECK(result.model_bytes == 77);
  CHECK(result.gates == R"([{"name":"max_drop"}])");
  for (const char* text : {"", "[]", "{", R"({"facts": 3, "gates": {}})"}) {
    JobResult nothing;
    ReadReport(text, &nothing);
    CHECK(nothing.metrics.empty());
    CHECK(nothing.gates == "[]");
  }
}

TEST_CASE("kinds follow from how the process ended and what it said") {
  const auto kind = [](const ChildEnd& end, const std::string& log) {
    JobResult result;
    Classify(end, log, &result);
    return result.kind;
  };
  CHECK(kind({.exit_code = 0}, "") == "ok");
  CHECK(kind({.exit_code = 5}, "error: quality gate: out of memory\n") == "gate");
  CHECK(kind({.exit_code = 2}, "error: no recipe\n") == "usage");
  CHECK(kind({.exit_code = 3}, "error: node 'a'\n") == "model");
  CHECK(kind({.exit_code = 3}, "error: node 'a': out of memory: 3 GB are wanted\n") == "memory");
  CHECK(kind({.exit_code = 4}, "error: no images\n") == "data");
  CHECK(kind({.exit_code = 1}, "error: cannot write 'x': No space left on device\n") == "io");
  CHECK(kind({.exit_code = 1}, "error: out of memory: lower\n") == "memory");
  CHECK(kind({.exit_code = 1}, "error: unexpected: x\n") == "crash");
  CHECK(kind({.exit_code = 130}, "error: interrupted\n") == "interrupted");
  CHECK(kind({.exit_code = 139, .signal = 11}, "") == "crash");
  CHECK(kind({.exit_code = 143, .signal = 15}, "") == "interrupted");
  CHECK(kind({.exit_code = 130, .timed_out = true}, "error: interrupted\n") == "timeout");
  CHECK(kind({.exit_code = 0, .timed_out = true}, "") == "ok");  // just in time
  CHECK(kind({.exit_code = 137, .signal = 9, .over_memory = true}, "") == "memory");
  CHECK(kind({.exit_code = 137, .signal = 9, .stopped = true}, "") == "interrupted");
  CHECK(kind({.exit_code = 137, .signal = 9, .oom_killed = true}, "") == "memory");
  JobResult result;
  Classify({.exit_code = 134, .signal = 6},
           "info: x\nroundel: internal error at a.cpp:3: broken (x)\ninfo: y\n", &result);
  CHECK(result.message == "roundel: internal error at a.cpp:3: broken (x)");
  for (const auto& [name, code] : std::map<std::string, int>{{"ok", 0},
                                                             {"gate", 5},
                                                             {"usage", 2},
                                                             {"model", 3},
                                                             {"data", 4},
                                                             {"io", 1},
                                                             {"memory", 1},
                                                             {"timeout", 1},
                                                             {"crash", 1},
                                                             {"interrupted", 130}})
    CHECK(ExitCode(ErrorOf({.kind = name})) == code);
}
