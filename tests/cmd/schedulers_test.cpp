// roundel batch under Slurm, MPI launchers, GNU parallel and Snakemake. The test starts a real Slurm
// cluster with one node (tests/tools/slurm.sh).

#include <unistd.h>

#include <nlohmann/json.hpp>

#include <map>
#include <sstream>

#include "tests/cmd/batch_zoo.h"
#include "tests/support/needs.h"

using namespace roundel;
using namespace roundel::support;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

const std::string kSource = ROUNDEL_SOURCE_DIR;

bool HasProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (access((folder + "/" + name).c_str(), X_OK) == 0) return true;
  return false;
}

bool SkippedWithoutScheduler(const std::vector<std::string>& programs) {
  for (const std::string& program : programs)
    if (SkippedWithout("scheduler", HasProgram(program), program + " is not installed"))
      return true;
  return false;
}

struct SharedZoo : Zoo {
  static constexpr size_t kModels = 4;
  SharedZoo() {
    std::string models;
    for (size_t i = 0; i < kModels; ++i)
      models += "  - {id: m" + std::to_string(i) +
                ", model: gemm.onnx, set: {seed: " + std::to_string(i) + "}}\n";
    Manifest(models);
  }
  ProcessResult Shell(const std::string& script) const {
    return RunProgram({"/bin/bash", "-euc", script}, [this] {
      setenv("ROUNDEL", kProgram.c_str(), 1);
      setenv("ZOO", (folder / "zoo.yaml").c_str(), 1);
      setenv("OUT", out.c_str(), 1);
      setenv("FOLDER", folder.path().c_str(), 1);
      setenv("SOURCE", kSource.c_str(), 1);
    });
  }
  void CheckEachOnce() const {
    std::map<std::string, int> lines;
    for (const Json& line : StatusLines()) {
      CHECK(line["kind"] == "ok");
      ++lines[line["id"].get<std::string>()];
    }
    CHECK(lines.size() == kModels);
    for (const auto& [id, count] : lines) CHECK(count == 1);
  }
};

}  // namespace

TEST_CASE("ranks of an MPI launcher do a part each") {
  if (SkippedWithoutScheduler({"mpirun"})) return;
  const SharedZoo zoo;
  const ProcessResult result = zoo.Shell(
      "mpirun --allow-run-as-root --oversubscribe -np 3 \"$ROUNDEL\" batch $ZOO --out $OUT");
  INFO(result.err);
  CHECK(result.code == 0);
  for (const char* part : {"part 0 of 3", "part 1 of 3", "part 2 of 3"})
    CHECK(result.err.find(part) != std::string::npos);
  zoo.CheckEachOnce();
}

TEST_CASE("GNU parallel runs the ids of the list") {
  if (SkippedWithoutScheduler({"parallel"})) return;
  const SharedZoo zoo;
  const ProcessResult result = zoo.Shell(
      "\"$ROUNDEL\" batch $ZOO --out $OUT --list | parallel --joblog $FOLDER/log --resume-failed "
      "\"$ROUNDEL\" batch $ZOO --out $OUT --only {} </dev/stdin");
  INFO(result.err);
  CHECK(result.code == 0);
  zoo.CheckEachOnce();
}

TEST_CASE("Snakemake makes the outputs of all ids") {
  if (SkippedWithoutScheduler({"snakemake"})) return;
  const SharedZoo zoo;
  const std::string command =
      "cd $FOLDER; export HOME=$FOLDER; snakemake --cores 2 --snakefile "
      "$SOURCE/scripts/snakemake/Snakefile --config zoo=zoo.yaml out=out";
  const ProcessResult result = zoo.Shell(command);
  INFO(result.err);
  CHECK(result.code == 0);
  zoo.CheckEachOnce();
  // Snakemake deletes an output before it makes it again.
  const ProcessResult again = zoo.Shell(command + " --forcerun quantize");
  INFO(again.err);
  CHECK(again.code == 0);
}

TEST_CASE("a Slurm array does a zoo, and a task that is requeued stops cleanly") {
  if (SkippedWithoutScheduler({"slurmctld", "slurmd", "sbatch", "munged"})) return;
  if (SkippedWithout("scheduler", geteuid() == 0, "Slurm's daemons need root")) return;
  const SharedZoo zoo;
  WriteModel(zoo.folder, "endless.onnx", kEndlessModel);
  zoo.folder.Write("slow.yaml",
                   "defaults: {data: points.npy}\nmodels: [{id: slow, model: endless.onnx}]\n");
  zoo.folder.Write("job.sh", R"(
sbatch --wait --array=0-1 --mem=100 --output="$FOLDER/task-%a.log" "$SOURCE/scripts/slurm/batch.sbatch" "$ZOO" "$OUT"
job=$(sbatch --parsable --array=0-0 --mem=100 --output="$FOLDER/slow.log" "$SOURCE/scripts/slurm/batch.sbatch" "$FOLDER/slow.yaml" "$FOLDER/slow")
until [ -s "$FOLDER/slow/slow/log.txt" ] || [ -e "$FOLDER/slow/slow/log.txt" ]; do sleep 0.1; done
sleep 1
scontrol requeue "${job}_0"
until [ -s "$FOLDER/slow/status.jsonl" ]; do sleep 0.1; done
scancel "$job"
)");
  const ProcessResult result = zoo.Shell(
      "timeout 60 \"$SOURCE/tests/tools/slurm.sh\" $FOLDER/slurm bash -eu $FOLDER/job.sh");
  INFO(result.out << result.err << FileText(zoo.folder / "slurm/slurmctld.log")
                  << FileText(zoo.folder / "slurm/slurmd.log"));
  CHECK(result.code == 0);
  zoo.CheckEachOnce();
  CHECK(FileText(zoo.folder / "task-0.log").find("part 0 of 2 (SLURM_ARRAY_TASK_ID)") !=
        std::string::npos);
  const std::string slow = FileText(zoo.folder / "slow/status.jsonl");
  CHECK(slow.find("\"kind\":\"interrupted\"") != std::string::npos);
}
