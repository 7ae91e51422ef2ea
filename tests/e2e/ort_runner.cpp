#include "tests/e2e/ort_runner.h"
#include <unistd.h>

#include "tests/support/catch.h"

#include <cstdio>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "lib/io/npy.h"
#include "tests/support/needs.h"

namespace roundel::e2e {
namespace {

namespace fs = std::filesystem;
const fs::path kFolder = fs::path(ROUNDEL_SOURCE_DIR) / "tests/e2e";

// Standard output of a shell command; empty where it fails.
std::string Capture(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  std::string out;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  return pclose(pipe) == 0 ? out : std::string();
}

Result<nlohmann::json> WriteJob(const OrtJob& job, const std::string& folder) {
  nlohmann::json inputs = nlohmann::json::object();
  fs::create_directories(folder);
  for (size_t i = 0; i < job.inputs.size(); ++i) {
    const std::string file = StrCat(folder, "/input", i, ".npy");
    RETURN_IF_ERROR(io::WriteNpy(job.inputs[i].second, file));
    inputs[job.inputs[i].first] = file;
  }
  nlohmann::json json{{"model", job.model},
                      {"optimize", !job.level.empty() ? job.level
                                   : job.optimize     ? "all"
                                                      : "disabled"},
                      {"inputs", inputs},
                      {"outputs", folder}};
  if (!job.optimized.empty()) json["fused"] = job.optimized;
  return json;
}

}  // namespace

bool SkippedWithoutOrt() {
  static const bool available = fs::exists(kFolder / "node_modules/onnxruntime-node") &&
                                !Capture("node --version 2>/dev/null").empty();
  return support::SkippedWithout(
      "e2e", available,
      "node or tests/e2e/node_modules is missing (scripts/test.sh installs both)");
}

Result<std::vector<std::vector<Tensor>>> RunOrt(const std::vector<OrtJob>& jobs,
                                                const std::string& scratch_folder) {
  nlohmann::json list = nlohmann::json::array();
  for (size_t i = 0; i < jobs.size(); ++i) {
    ASSIGN_OR_RETURN(auto job, WriteJob(jobs[i], StrCat(scratch_folder, "/ort", i)));
    list.push_back(std::move(job));
  }
  const std::string job_file = scratch_folder + "/jobs.json";
  RETURN_IF_ERROR(WriteFileAtomically(job_file, list.dump()));
  const std::string text =
      Capture(StrCat("node '", (kFolder / "ort.js").string(), "' '", job_file, "'"));
  const std::vector<std::string> lines = Split(Trim(text), '\n');
  if (lines.size() != jobs.size()) return InternalError("ONNX Runtime did not run: " + text);
  std::vector<std::vector<Tensor>> results;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const auto answer = nlohmann::json::parse(lines[i]);
    if (answer.contains("error"))
      return ModelError(StrCat(jobs[i].model, ": ", answer["error"].get<std::string>()));
    std::vector<Tensor> outputs;
    for (size_t k = 0; k < answer["outputs"].size(); ++k) {
      ASSIGN_OR_RETURN(Tensor output,
                       io::ReadNpy(StrCat(scratch_folder, "/ort", i, "/", k, ".npy")));
      outputs.push_back(std::move(output));
    }
    results.push_back(std::move(outputs));
  }
  return results;
}

ScratchFolder::ScratchFolder(const std::string& name)
    : path_((fs::path(ROUNDEL_BINARY_DIR) / "scratch" / StrCat(name, "-", getpid())).string()) {
  fs::remove_all(path_);
  fs::create_directories(path_);
}
ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace roundel::e2e
