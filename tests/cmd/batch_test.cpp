// roundel batch: runs the program itself, which starts itself for every model.

#include <nlohmann/json.hpp>

#include <map>

#include "tests/cmd/batch_zoo.h"

using namespace roundel;
using namespace roundel::support;
namespace fs = std::filesystem;
using Json = nlohmann::json;

TEST_CASE("a batch writes for every model what quantize writes, and once only") {
  const Zoo zoo;
  zoo.Manifest(
      "  - {id: a, model: gemm.onnx}\n"
      "  - {id: b, model: gemm.onnx, recipe: int8_per_tensor, set: {seed: 3}}\n");
  const auto [code, batch] = zoo.RunJson({"--jobs", "2"});
  CHECK(code == 0);
  REQUIRE(batch["jobs"].size() == 2);
  CHECK(batch["jobs"][0]["id"] == "a");  // the manifest's order
  CHECK(batch["counts"] == Json{{"ok", 2}});
  const std::vector<std::string> more[] = {{}, {"--recipe", "int8_per_tensor", "--set", "seed=3"}};
  for (const int i : {0, 1}) {
    const std::string id = i == 0 ? "a" : "b";
    std::vector<std::string> args = {"quantize", zoo.folder / "gemm.onnx",
                                     "--calib",  zoo.folder / "points.npy",
                                     "-o",       zoo.folder / (id + ".onnx")};
    args.insert(args.end(), more[i].begin(), more[i].end());
    REQUIRE(Cli(args).code == 0);
    CHECK(Contents(zoo.folder / (id + ".onnx")) ==
          Contents(zoo.out + "/" + id + "/" + id + ".onnx"));
    const Json job = JobOf(batch, id);
    CHECK(job["kind"] == "ok");
    CHECK(job["ran"] == true);
    CHECK(job["sizes"]["output_bytes"] == fs::file_size(zoo.folder / (id + ".onnx")));
    CHECK(job["sizes"]["model_bytes"] == fs::file_size(zoo.folder / "gemm.onnx"));
    CHECK(job["output"] == id + "/" + id + ".onnx");
    CHECK(fs::exists(zoo.out + "/" + job["report"].get<std::string>()));
    CHECK(job["metrics"]["check_sqnr_db"] > 10);
  }
  CHECK(zoo.StatusLines().size() == 2);
  const auto written = fs::last_write_time(zoo.out + "/a/a.onnx");
  const auto [again, second] = zoo.RunJson();
  CHECK(again == 0);
  CHECK(JobOf(second, "a")["ran"] == false);
  CHECK(JobOf(second, "a")["hash"] == JobOf(batch, "a")["hash"]);
  CHECK(zoo.StatusLines().size() == 2);
  CHECK(fs::last_write_time(zoo.out + "/a/a.onnx") == written);
}

TEST_CASE("a batch may be named from within its folder") {
  const Zoo zoo;
  zoo.Manifest("  - {id: a, model: gemm.onnx, recipe: ./r.yaml}\n  - '*.onnx'\n");
  zoo.folder.Write("r.yaml", "passes: [calibrate]\n");
  const ProcessResult result = RunProgram({kProgram, "batch", "zoo.yaml", "--out", "out"}, [&] {
    if (chdir(zoo.folder.path().c_str()) != 0) _exit(99);
  });
  INFO(result.err);
  CHECK(result.code == 0);
  CHECK(fs::exists(zoo.out + "/gemm/gemm.onnx"));
}

TEST_CASE("a job runs again when model, data, recipe or settings change, and no other does") {
  const Zoo zoo;
  zoo.folder.Write("r.yaml", "passes: [calibrate]\n");
  WriteArray(zoo.folder, "other.npy", Points());
  WriteModel(zoo.folder, "m.onnx", kGemmModel);
  const std::string models =
      "  - {id: a, model: m.onnx, data: other.npy, recipe: ./r.yaml}\n"
      "  - {id: b, model: gemm.onnx}\n";
  const auto ran = [&] {
    const auto [code, batch] = zoo.RunJson();
    CHECK(code == 0);
    CHECK(JobOf(batch, "b")["ran"] == false);
    return JobOf(batch, "a")["ran"] == true;
  };
  zoo.Manifest(models);
  REQUIRE(zoo.Run().code == 0);
  CHECK_FALSE(ran());
  WriteModel(zoo.folder, "m.onnx", std::string(kGemmModel).replace(6, 2, "14"));
  CHECK(ran());
  Tensor points = Points();
  points.mutable_data<float>()[0] = 3;
  WriteArray(zoo.folder, "other.npy", points);
  CHECK(ran());
  zoo.folder.Write("r.yaml", "seed: 4\npasses: [calibrate]\n");
  CHECK(ran());
  zoo.folder.Write("r.yaml", "# a comment\nseed: 4\npasses: [calibrate]\n");
  CHECK_FALSE(ran());
  zoo.Manifest(std::string(models).insert(models.find("recipe"), "set: {seed: 5}, "));
  CHECK(ran());
  zoo.Manifest("  - {id: b, model: gemm.onnx}\n" + models.substr(0, models.find('\n') + 1));
  CHECK(ran());  // seed 4 again: what stands in the folder is that of seed 5
  // The same contents at another path are the same job.
  fs::rename(zoo.folder / "other.npy", zoo.folder / "moved.npy");
  zoo.Manifest(std::string(models).replace(models.find("other"), 5, "moved"));
  CHECK_FALSE(ran());
}

TEST_CASE("every kind of failure costs one job and is told in plain words") {
  const Zoo zoo;
  zoo.folder.Write("broken.onnx", "no model");
  WriteModel(zoo.folder, "endless.onnx", kEndlessModel);
  zoo.Manifest(
      "  - {id: good, model: gemm.onnx}\n"
      "  - {id: gone, model: gone.onnx}\n"
      "  - {id: broken, model: broken.onnx}\n"
      "  - {id: no-data, model: gemm.onnx, data: nothing/}\n"
      "  - {id: slow, model: endless.onnx, timeout: 1s}\n"
      "  - {id: gated, model: gemm.onnx, eval: points.npy, gates: {min_sqnr: 150}}\n");
  const std::string junit = zoo.folder / "junit.xml";
  const auto [code, batch] = zoo.RunJson({"--jobs", "3", "--junit", junit});
  const std::map<std::string, std::pair<std::string, int>> expected = {
      {"good", {"ok", 0}},      {"gone", {"model", 3}},     {"broken", {"model", 3}},
      {"no-data", {"data", 4}}, {"slow", {"timeout", 130}}, {"gated", {"gate", 5}}};
  for (const auto& [id, end] : expected) {
    INFO(id);
    const Json job = JobOf(batch, id);
    CHECK(job["kind"] == end.first);
    CHECK(job["exit_code"] == end.second);
    CHECK(job["message"].get<std::string>().empty() == (id == "good"));
  }
  CHECK(JobOf(batch, "gone")["message"].get<std::string>().find("gone.onnx") != std::string::npos);
  CHECK(fs::exists(zoo.out + "/gated/gated.onnx"));
  const std::string xml = FileText(junit);
  const auto count = [&](const std::string& tag) {
    size_t found = 0;
    for (size_t at = xml.find(tag); at != std::string::npos; at = xml.find(tag, at + 1)) ++found;
    return found;
  };
  CHECK(count("<testsuite ") == 6);
  CHECK(count("<testcase ") == 7);  // the gate is one, too
  CHECK(count("<failure ") == 1);
  CHECK(count("<error ") == 4);
  CHECK(code == 1);  // a timeout is the lowest of 1, 3, 4 and 5
  zoo.Manifest("  - {id: gated, model: gemm.onnx, eval: points.npy, gates: {min_sqnr: 150}}\n");
  const ProcessResult gate = zoo.Run();
  CHECK(gate.code == 5);
  CHECK(gate.err == "error: 1 of 1 jobs are not ok: 1 gate\n");
}

TEST_CASE("a batch writes nowhere but in its folder") {
  const Zoo zoo;
  const auto error = [&](const std::string& models) {
    zoo.Manifest(models);
    const ProcessResult result = zoo.Run();
    CHECK(result.code == 2);
    CHECK_FALSE(fs::exists(zoo.out + "/status.jsonl"));
    return result.err;
  };
  CHECK(error("  - {id: ../a, model: gemm.onnx}\n").find("must be a file name") !=
        std::string::npos);
  CHECK(error("  - {id: a, model: gemm.onnx, set: {calibrate.stats_out: s.json}}\n")
            .find("outside of its folder") != std::string::npos);
  CHECK(error("  - {id: a, model: gemm.onnx, set: {weight.bits: 4}}\n")
            .find("zoo.yaml:3: model 'a': --set weight.bits=4: unknown section or pass 'weight'; "
                  "did you mean 'weights'?") != std::string::npos);
  CHECK(error("  - {id: a, model: gemm.onnx, recipe: int8_per_chanel}\n")
            .find("did you mean 'int8_per_channel'?") != std::string::npos);
  CHECK(error("  - {id: a, model: gemm.onnx, gates: {max_drop: 1}}\n").find("give 'eval'") !=
        std::string::npos);
  // A symbolic link in place of a job's folder.
  fs::create_directory(zoo.folder / "elsewhere");
  zoo.Manifest("  - {id: a, model: gemm.onnx}\n");
  fs::create_directories(zoo.out);
  fs::create_directory_symlink(zoo.folder / "elsewhere", zoo.out + "/a");
  const auto [code, batch] = zoo.RunJson();
  CHECK(code == 1);
  CHECK(JobOf(batch, "a")["kind"] == "io");
  CHECK(fs::is_empty(zoo.folder / "elsewhere"));
}
