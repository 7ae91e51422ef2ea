// quantize on models from other exporters: models that are not in normal form, models with operators
// that the engine does not support, and models that are already quantized.

#include <nlohmann/json.hpp>

#include <algorithm>

#include "tests/cmd/cli.h"

using namespace roundel;
using namespace roundel::support;

using Json = nlohmann::json;

namespace {

constexpr char kListed[] = R"(opset 13
graph main (float32[N,2] x, float32[2,3] w, float32[3] b) => (float32[N,3] y) {
  float32[2,3] w = {1, 0, -1, 0, 1, -1}
  float32[3] b = {0, 0, 0.5}
  y = Gemm(x, w, b)
}
)";

constexpr char kCustom[] = R"(opset 13, acme 1
graph main (float32[N,2] x) => (float32[N,3] y) {
  float32[2,3] w = {1, 0, -1, 0, 1, -1}
  float32[3,3] v = {1, 0, -1, 0, 1, -1, 0.5, 0, 1}
  t = MatMul(x, w)
  [strange] u = acme.Warp(t)
  y = MatMul(u, v)
}
)";

constexpr char kCalls[] = R"(opset 17, local 1
function local.Dense<beta=1.0>(a, w, b) => (c) { opset 17  t = Gemm<beta=@beta>(a, w, b)  c = Relu(t) }
graph main (float32[N,2] x) => (float32[N,3] y) {
  float32[2,3] w = {1, 0, -1, 0, 1, -1}
  float32[3] b = {0, 0, 0.5}
  y = local.Dense(x, w, b)
}
)";

struct Bench {
  explicit Bench(const char* text) : model(WriteModel(folder, "model.onnx", text)) {}
  TempFolder folder;
  std::string model;
  std::string data = WriteArray(folder, "points.npy", Points());
  std::string out = folder / "out.onnx";

  CliResult Quantize(std::vector<std::string> more, bool with_data = true) const {
    std::vector<std::string> args = {"quantize", model, "-o", out};
    if (with_data) args.insert(args.end(), {"--calib", data});
    args.insert(args.end(), more.begin(), more.end());
    return Cli(args);
  }
  graph::Model Written() const {
    auto written = io::ReadOnnx(out);
    REQUIRE(written.ok());
    return std::move(*written);
  }
};

int64_t Count(const graph::Model& model, const char* op) {
  return std::count_if(model.graph->nodes().begin(), model.graph->nodes().end(),
                       [&](const graph::NodePtr& node) { return node->op_type == op; });
}

}  // namespace

TEST_CASE("initializers that are listed as inputs are quantized, which is said") {
  const Bench bench(kListed);
  REQUIRE(bench.Quantize({}).code == 0);
  CHECK(bench.Written().graph->inputs.size() == 1);
  const Json report = Json::parse(Contents(bench.folder / "out.report.json"));
  CHECK(report["facts"]["quantized_weights"] == 1);
  CHECK(report.dump().find("--keep-initializer-inputs") != std::string::npos);
}

TEST_CASE("the flag --keep-initializer-inputs leaves them to the callers") {
  const Bench bench(kListed);
  REQUIRE(bench.Quantize({"--keep-initializer-inputs"}).code == 0);
  CHECK(bench.Written().graph->inputs.size() == 3);
  const Json report = Json::parse(Contents(bench.folder / "out.report.json"));
  CHECK(report["facts"]["quantized_weights"] == 0);
}

TEST_CASE("a quantized model is refused, with the way out") {
  const Bench bench(kGemmModel);
  REQUIRE(bench.Quantize({}).code == 0);
  const std::string quantized = bench.out, again = bench.folder / "again.onnx";
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--calib", bench.data, "-o", again},
        std::vector<std::string>{"--recipe", "int8_dynamic", "-o", again},
        std::vector<std::string>{"--dry-run"}}) {
    std::vector<std::string> args = {"quantize", quantized};
    args.insert(args.end(), more.begin(), more.end());
    const CliResult refused = Cli(args);
    CHECK(refused.code == 3);
    CHECK(refused.err.find("already quantized") != std::string::npos);
    CHECK(refused.err.find("--to float") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(again));
  }
  CHECK(Cli({"quantize", quantized, "--requantize", "--dry-run"}).code == 0);
  // The remedy that the message names works.
  const std::string back = bench.folder / "back.onnx";
  REQUIRE(Cli({"export", quantized, "--to", "float", "-o", back}).code == 0);
  CHECK(Cli({"quantize", back, "--calib", bench.data, "-o", again}).code == 0);
}

TEST_CASE("an operator that nothing runs here stops only what runs the model") {
  const Bench bench(kCustom);
  const CliResult refused = bench.Quantize({});
  CHECK(refused.code == 3);
  CHECK(refused.err.find("Warp") != std::string::npos);
  CHECK(refused.err.find("int8_dynamic") != std::string::npos);
  for (const bool with_data : {false, true}) {
    REQUIRE(bench.Quantize({"--recipe", "int8_dynamic"}, with_data).code == 0);
    CHECK(Count(bench.Written(), "MatMulInteger") == 2);
    CHECK(Count(bench.Written(), "Warp") == 1);
  }
  CHECK(bench.Quantize({"--dry-run"}, false).code == 0);
}

TEST_CASE("encodings of layers inside of functions fit the model that was given") {
  const Bench bench(kCalls);
  REQUIRE(bench.Quantize({}).code == 0);
  CHECK(bench.Written().functions.empty());
  const std::string encodings = bench.folder / "out.encodings.json";
  const std::string exported = bench.folder / "exported.onnx";
  REQUIRE(Cli({"export", bench.model, "--encodings", encodings, "-o", exported}).code == 0);
  const auto model = io::ReadOnnx(exported);
  REQUIRE(model.ok());
  CHECK(Count(*model, "QuantizeLinear") == Count(bench.Written(), "QuantizeLinear"));
  CHECK(Cli({"eval", bench.model, "--encodings", encodings, "--data", bench.data}).code == 0);
  CHECK(Cli({"compare", bench.model, bench.out, "--data", bench.data}).code == 0);
}
