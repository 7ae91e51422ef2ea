// roundel batch when processes share a folder, are killed, or do a part.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "tests/cmd/batch_zoo.h"

using namespace roundel;
using namespace roundel::support;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

// Several small models, with a rounding pass that stores its solutions.
struct LargeZoo : Zoo {
  static constexpr int kModels = 5;

  LargeZoo() {
    WriteModel(folder, "conv.onnx", kConvModel);
    std::vector<float> pixels(4 * 2 * 6 * 6);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i % 7) - 3;
    WriteArray(folder, "images.npy", Tensor::FromVector<float>({4, 2, 6, 6}, pixels));
    std::string models = "  - {id: conv, model: conv.onnx, data: images.npy, recipe: w4_cnn}\n";
    for (int i = 1; i < kModels; ++i)
      models += "  - {id: m" + std::to_string(i) +
                ", model: gemm.onnx, set: {seed: " + std::to_string(i) + "}, tags: [" +
                (i % 2 == 0 ? "even" : "odd") + "]}\n";
    Manifest(models);
  }

  pid_t Start(const std::string& name, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {kProgram, "batch", folder / "zoo.yaml", "--out", out};
    args.insert(args.end(), more.begin(), more.end());
    return StartProgram(args, folder / (name + ".out"), folder / (name + ".err"));
  }

  // The outputs of each job, without times.
  std::map<std::string, std::string> Outputs() const {
    std::map<std::string, std::string> outputs;
    for (const auto& entry : fs::recursive_directory_iterator(out)) {
      const std::string path = entry.path().string();
      if (entry.is_regular_file() &&
          (path.ends_with(".onnx") || path.ends_with(".encodings.json") ||
           path.ends_with(".recipe.yaml")))
        outputs[path.substr(out.size())] = Contents(path);
    }
    return outputs;
  }

  std::map<std::string, int> LinesPerJob() const {
    std::map<std::string, int> lines;
    for (const Json& line : StatusLines()) ++lines[line["id"].get<std::string>()];
    return lines;
  }
};

}  // namespace

TEST_CASE("kill -9 at any moment loses no finished job and repeats none") {
  const LargeZoo whole;
  REQUIRE(whole.Run().code == 0);
  const auto expected = whole.Outputs();
  CHECK(expected.size() == 3 * LargeZoo::kModels);
  std::mt19937 random(7);
  const LargeZoo zoo;
  size_t kills = 0;
  for (int round = 0; round < 8; ++round) {
    const pid_t batch = zoo.Start("killed", {"--jobs", "2"});
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 300));
    kill(batch, SIGKILL);
    if (WaitFor(batch) != -SIGKILL) break;  // it was done
    ++kills;
    for (const Json& line : zoo.StatusLines()) CHECK(line["kind"] == "ok");
  }
  CHECK(kills > 0);
  REQUIRE(zoo.Run({"--jobs", "2"}).code == 0);
  CHECK(zoo.Outputs() == expected);
  for (const auto& [id, lines] : zoo.LinesPerJob()) {
    INFO(id);
    CHECK(lines == 1);
  }
  CHECK(zoo.LinesPerJob().size() == LargeZoo::kModels);
  // Killed processes leave no store, no claim and no temporary file.
  for (const auto& entry : fs::recursive_directory_iterator(zoo.out)) {
    const std::string name = entry.path().filename().string();
    CHECK(name != "store");
    CHECK(name.find(".tmp-") == std::string::npos);
    CHECK(name.find('@') == std::string::npos);
  }
}

TEST_CASE("processes on one folder share the jobs, and all of them see all results") {
  const LargeZoo zoo;
  std::vector<pid_t> batches;
  for (const char* name : {"p0", "p1", "p2"}) batches.push_back(zoo.Start(name, {"--json"}));
  for (const pid_t batch : batches) CHECK(WaitFor(batch) == 0);
  for (const auto& [id, lines] : zoo.LinesPerJob()) CHECK(lines == 1);
  size_t ran = 0;
  for (const char* name : {"p0", "p1", "p2"}) {
    const Json result = Json::parse(FileText(zoo.folder / (std::string(name) + ".out")));
    CHECK(result["counts"] == Json{{"ok", LargeZoo::kModels}});
    for (const Json& job : result["jobs"]) ran += job["ran"] == true;
  }
  CHECK(ran == LargeZoo::kModels);
}

TEST_CASE("the job of a dead machine is taken over when its claim expires") {
  const LargeZoo zoo;
  fs::create_directories(zoo.out + "/.batch/claims");
  const std::string claim = zoo.out + "/.batch/claims/m1";
  std::ofstream(claim) << "another-boot pid:[1] 1 1\n";
  timespec times[2];
  clock_gettime(CLOCK_REALTIME, &times[0]);
  times[0].tv_sec -= 3;
  times[1] = times[0];
  REQUIRE(utimensat(AT_FDCWD, claim.c_str(), times, 0) == 0);
  const auto [code, batch] = zoo.RunJson({"--claim-expiry", "5"});
  CHECK(code == 0);
  CHECK(batch["seconds"] > 1.5);
  CHECK(JobOf(batch, "m1")["ran"] == true);
  CHECK_FALSE(fs::exists(claim));
}

TEST_CASE("SIGTERM and SIGHUP stop a batch cleanly, and what was running runs again") {
  for (const int signal : {SIGTERM, SIGHUP}) {
    const Zoo zoo;
    WriteModel(zoo.folder, "endless.onnx", kEndlessModel);
    zoo.Manifest("  - {id: good, model: gemm.onnx}\n  - {id: slow, model: endless.onnx}\n");
    const pid_t batch = StartProgram({kProgram, "batch", zoo.folder / "zoo.yaml", "--out", zoo.out},
                                     zoo.folder / "out.txt", zoo.folder / "err.txt");
    while (!fs::exists(zoo.out + "/slow/log.txt"))
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    kill(batch, signal);
    CHECK(WaitFor(batch) == 130);
    CHECK(FileText(zoo.folder / "err.txt").ends_with("error: interrupted\n"));
    const auto lines = zoo.StatusLines();
    REQUIRE_FALSE(lines.empty());
    CHECK(lines.back()["id"] == "slow");
    CHECK(lines.back()["kind"] == "interrupted");
    const ProcessResult left = zoo.Run({"--dry-run"});
    CHECK(left.out.find("slow\n") != std::string::npos);
    CHECK(zoo.Run({"--list"}).out == "good\nslow\n");
  }
}

TEST_CASE("shards are disjoint and together all, and a scheduler's part is taken") {
  const LargeZoo zoo;
  size_t jobs = 0;
  for (const char* shard : {"0/2", "1/2"}) {
    const auto [code, batch] = zoo.RunJson({"--shard", shard});
    CHECK(code == 0);
    jobs += batch["jobs"].size();
    for (const Json& job : batch["jobs"]) CHECK(job["ran"] == true);
  }
  CHECK(jobs == LargeZoo::kModels);
  CHECK(zoo.StatusLines().size() == LargeZoo::kModels);
  setenv("SLURM_ARRAY_TASK_ID", "1", 1);
  setenv("SLURM_ARRAY_TASK_COUNT", "2", 1);
  const auto [code, part] = zoo.RunJson();
  unsetenv("SLURM_ARRAY_TASK_ID");
  unsetenv("SLURM_ARRAY_TASK_COUNT");
  CHECK(code == 0);
  CHECK(part["jobs"].size() == LargeZoo::kModels / 2);
  CHECK(zoo.Run({"--shard", "2/2"}).code == 2);
}

TEST_CASE("ids and tags are selected by --only, kinds are repeated by --retry") {
  const LargeZoo zoo;
  const auto count = [&](const std::vector<std::string>& args) {
    const auto [code, batch] = zoo.RunJson(args);
    CHECK(code == 0);
    size_t ran = 0;
    for (const Json& job : batch["jobs"]) ran += job["ran"] == true;
    return std::pair{batch["jobs"].size(), ran};
  };
  CHECK(count({"--only", "m1"}) == std::pair<size_t, size_t>{1, 1});
  CHECK(count({"--only", "even"}) == std::pair<size_t, size_t>{2, 2});
  CHECK(count({"--only", "even", "--only", "conv"}) == std::pair<size_t, size_t>{3, 1});
  CHECK(count({"--only", "m1", "--retry", "ok"}) == std::pair<size_t, size_t>{1, 1});
  CHECK(count({"--only", "m1", "--retry", "failed"}) == std::pair<size_t, size_t>{1, 0});
  const ProcessResult wrong = zoo.Run({"--only", "evn"});
  CHECK(wrong.code == 2);
  CHECK(wrong.err.find("did you mean 'even'?") != std::string::npos);
  CHECK(zoo.Run({"--retry", "errors"}).code == 2);
}

TEST_CASE("nothing is started after the first failure with --stop-on-failure") {
  const Zoo zoo;
  zoo.Manifest(
      "  - {id: a, model: gone.onnx}\n  - {id: b, model: gone.onnx}\n"
      "  - {id: c, model: gone.onnx}\n");
  const auto [code, batch] = zoo.RunJson({"--stop-on-failure"});
  CHECK(code == 3);
  CHECK(batch["counts"] == Json{{"model", 1}, {"not run", 2}});
}

TEST_CASE("failures are kept until they are retried, or their limit is changed") {
  const Zoo zoo;
  WriteModel(zoo.folder, "endless.onnx", kEndlessModel);
  const auto kind = [&](const std::string& models, const std::vector<std::string>& args = {}) {
    zoo.Manifest(models);
    const Json batch = zoo.RunJson(args).second;
    const Json& job = batch["jobs"][0];
    return job["kind"].get<std::string>() + (job["ran"] == true ? " now" : " before");
  };
  const std::string small = "  - {id: a, model: endless.onnx, memory: 1M}\n";
  CHECK(kind(small) == "memory now");
  CHECK(kind(small) == "memory before");
  CHECK(kind(small, {"--retry", "failed"}) == "memory now");
  const std::string large = "  - {id: a, model: endless.onnx, memory: 2G, timeout: ";
  CHECK(kind(large + "0.5s}\n") == "timeout now");
  CHECK(kind(large + "0.5s}\n") == "timeout before");
  CHECK(kind(large + "0.7s}\n") == "timeout now");
}
