#pragma once
// Runs the command line in this process, and makes what it works on.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cmd/command.h"
#include "lib/graph/text.h"
#include "lib/io/npy.h"
#include "lib/io/onnx.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace roundel::support {

struct CliResult {
  int code = 0;
  std::string out, err;
};

inline CliResult Cli(const std::vector<std::string>& args) {
  std::ostringstream out, err;
  CliResult result;
  result.code = cmd::RunMain(args, out, err);
  result.out = out.str();
  result.err = err.str();
  // Errors are one line that starts with "error: "; without an error nothing comes (log lines take
  // another way to stderr).
  if (result.code == 0) {
    CHECK(result.err.empty());
  } else {
    CHECK(result.err.rfind("error: ", 0) == 0);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    if (!result.err.empty()) CHECK(result.err.back() == '\n');
  }
  return result;
}

inline std::string WriteModel(const TempFolder& folder, const std::string& name,
                              const std::string& text) {
  Result<graph::Model> model = graph::Parse(text);
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  const std::string path = folder / name;
  REQUIRE(io::WriteOnnx(*model, path).ok());
  return path;
}

inline std::string WriteArray(const TempFolder& folder, const std::string& name,
                              const Tensor& tensor) {
  const std::string path = folder / name;
  REQUIRE(io::WriteNpy(tensor, path).ok());
  return path;
}

// Scores y = x W + b of three classes; W swaps and scales, so that results can be told by hand.
constexpr char kGemmModel[] = R"(opset 13
graph main (float32[N,2] x) => (float32[N,3] y) {
  float32[2,3] w = {1, 0, -1, 0, 1, -1}
  float32[3] b = {0, 0, 0.5}
  y = Gemm(x, w, b)
}
)";

// Eight points of the plane; class 0 where x0 is largest, 1 where x1 is, 2 where both are negative.
inline Tensor Points() {
  return Tensor::FromVector<float>(
      {8, 2}, {1, 0, 2, 1, 0, 1, 1, 2, -1, -1, -2, -1, 1.5f, -0.25f, -0.5f, 1.75f});
}
inline Tensor PointLabels() { return Tensor::FromVector<int64_t>({8}, {0, 0, 1, 1, 2, 2, 0, 1}); }

// Conv + BatchNormalization + Relu, then pooling: what quantize folds and places quantizers on.
constexpr char kConvModel[] = R"(opset 13
graph main (float32[N,2,6,6] x) => (float32[N,3] y) {
  float32[3,2,3,3] w = random(1)
  float32[3] scale = {1, 0.5, 2}
  float32[3] shift = {0, 0.25, -0.5}
  float32[3] mean = {0.1, 0, -0.1}
  float32[3] variance = {1, 2, 0.5}
  conv = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w)
  norm = BatchNormalization(conv, scale, shift, mean, variance)
  relu = Relu(norm)
  pool = GlobalAveragePool(relu)
  y = Flatten(pool)
}
)";

inline std::vector<std::string> FilesIn(const TempFolder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

inline std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  INFO(path);
  REQUIRE(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace roundel::support
