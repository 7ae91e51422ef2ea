#pragma once
// A folder with a manifest, and the program run on it.

#include <nlohmann/json.hpp>

#include <string>
#include <utility>
#include <vector>

#include "tests/cmd/cli.h"
#include "tests/support/process.h"

namespace roundel::support {

// The program that was built together with this test.
inline const std::string kProgram =
    (std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "roundel")
        .string();

// A Loop that never ends.
constexpr char kEndlessModel[] = R"(opset 16
graph g (float32[N,2] x) => (float32[N,2] y) {
  float32[2,2] w = {1, 2, 3, 4}
  z = Loop<body=graph b (int64[] i, bool[] c, float32[N,2] v) => (bool[] c2, float32[N,2] v2) {
    c2 = Constant<value=bool[]{1}>()
    v2 = Neg(v)
  }>("", "", x)
  y = MatMul(z, w)
})";

struct Zoo {
  TempFolder folder;
  std::string out = folder / "out";

  Zoo() {
    WriteModel(folder, "gemm.onnx", kGemmModel);
    WriteArray(folder, "points.npy", Points());
    WriteArray(folder, "labels.npy", PointLabels());
  }

  void Manifest(const std::string& models) const {
    folder.Write("zoo.yaml", "defaults: {data: points.npy}\nmodels:\n" + models);
  }
  ProcessResult Run(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {kProgram, "batch", folder / "zoo.yaml", "--out", out};
    args.insert(args.end(), more.begin(), more.end());
    return RunProgram(args);
  }
  // The exit code of a run, and its JSON.
  std::pair<int, nlohmann::json> RunJson(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {"--json"};
    args.insert(args.end(), more.begin(), more.end());
    const ProcessResult result = Run(args);
    INFO(result.err);
    REQUIRE(nlohmann::json::accept(result.out));
    return {result.code, nlohmann::json::parse(result.out)};
  }
  std::vector<nlohmann::json> StatusLines() const {
    std::vector<nlohmann::json> lines;
    std::ifstream file(out + "/status.jsonl");
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }
};

inline nlohmann::json JobOf(const nlohmann::json& batch, const std::string& id) {
  for (const nlohmann::json& job : batch["jobs"])
    if (job["id"] == id) return job;
  return {};
}

}  // namespace roundel::support
