#include <nlohmann/json.hpp>
#include <set>

#include "tests/cmd/cli.h"
#include "tests/support/catch.h"

namespace roundel::cmd {
namespace {

using support::Cli;
using support::CliResult;
using support::TempFolder;
using support::WriteArray;
using support::WriteModel;

constexpr char kModel[] = R"(opset 13
graph g (float32[N,T,4] x, int64[N] i) => (float32[N,T,3] y) {
  float32[4,3] w = random(1)
  m = MatMul(x, w)
  t = Gather<axis=0>(m, i)
  y = Relu(t)
})";

TEST_CASE("bench times runs on inputs of the shapes that it is told") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kModel);
  const std::string index =
      WriteArray(folder, "index.npy", Tensor::FromVector<int64_t>({5}, {4, 3, 2, 1, 0}));
  const CliResult result = Cli({"bench", model, "--shape", "x=5,7,4", "--input", "i=" + index,
                                "--runs", "3", "--warm-up", "0", "--json"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json["runs"] == 3);
  CHECK(json["items_per_run"] == 5);
  CHECK(json["median_ms"] >= json["min_ms"]);
  CHECK(json["peak_rss_bytes"] > 0);
  CHECK_FALSE(json.contains("by_op"));
  const CliResult by_op = Cli({"bench", model, "--shape", "x=5,7,4", "--input", "i=" + index,
                               "--runs", "1", "--by-op", "--json"});
  std::set<std::string> ops;
  const auto timed = nlohmann::json::parse(by_op.out);
  for (const auto& entry : timed["by_op"]) ops.insert(entry["ops"].get<std::string>());
  CHECK(ops == std::set<std::string>{"Gather (plain)", "MatMul", "Relu"});
  CHECK(Cli({"bench", model, "--shape", "x=5,7,4", "--input", "i=" + index, "--runs", "1"})
            .out.find("items/s") != std::string::npos);
}

TEST_CASE("bench runs a second model and an observed one in turns with the first") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kModel);
  const std::string other = WriteModel(folder, "other.onnx", R"(opset 13
graph g (float32[N,T,4] x, int64[N] i) => (float32[N,T,4] y) { y = Gather<axis=0>(x, i) })");
  const std::string index =
      WriteArray(folder, "index.npy", Tensor::FromVector<int64_t>({2}, {1, 0}));
  const std::vector<std::string> call = {"bench",     model,        "--shape", "x=2,7,4",
                                         "--input",   "i=" + index, "--runs",  "3",
                                         "--observe", "--beside",   other};
  std::vector<std::string> with_json = call;
  with_json.push_back("--json");
  const CliResult result = Cli(with_json);
  INFO(result.err);
  REQUIRE(result.code == 0);
  const auto beside = nlohmann::json::parse(result.out)["beside"];
  REQUIRE(beside.size() == 2);
  CHECK(beside[0]["what"] == "observed");
  CHECK(beside[1]["what"] == other);
  for (const auto& entry : beside) CHECK(entry["ratio"] > 0);
  CHECK(Cli(call).out.find("of the time: observed") != std::string::npos);

  const std::string misfit = WriteModel(folder, "misfit.onnx", R"(opset 13
graph g (float32[N,T,4] x) => (float32[N,T,4] y) { y = Relu(x) })");
  const CliResult refused =
      Cli({"bench", model, "--shape", "x=2,7,4", "--input", "i=" + index, "--beside", misfit});
  CHECK(refused.code == 2);
  CHECK(refused.err ==
        "error: --beside: '" + misfit + "' has the inputs [x], the model has [x, i]\n");
}

TEST_CASE("bench says which size is missing, and what it cannot read") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kModel);
  const CliResult open = Cli({"bench", model});
  CHECK(open.code == 2);
  CHECK(open.err == "error: input 'x' leaves axis 1 open: give --shape x=...\n");
  CHECK(Cli({"bench", model, "--shape", "x"}).err == "error: --shape: 'x' is not NAME=VALUE\n");
  CHECK(Cli({"bench", model, "--shape", "x=1,b"}).err ==
        "error: --shape: '1,b' is not a list of sizes\n");
  CHECK(Cli({"bench", model, "--shape", "x=1,99999999999,4"}).err ==
        "error: an input of shape [1, 99999999999, 4] is too large to generate\n");
  CHECK(Cli({"bench", model, "--shape", "x=2,2,4", "--input", "i=missing.npy"}).code == 4);
}

}  // namespace
}  // namespace roundel::cmd
