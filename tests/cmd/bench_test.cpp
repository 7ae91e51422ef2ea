#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/cmd/cli.h"

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
  CHECK(Cli({"bench", model, "--shape", "x=5,7,4", "--input", "i=" + index, "--runs", "1"})
            .out.find("items/s") != std::string::npos);
}

TEST_CASE("bench says which size is missing, and what it cannot read") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kModel);
  const CliResult open = Cli({"bench", model});
  CHECK(open.code == 2);
  CHECK(open.err == "error: input 'x' leaves axis 1 open: give --shape x=...\n");
  CHECK(Cli({"bench", model, "--shape", "x"}).err ==
        "error: --shape: 'x' is not NAME=VALUE\n");
  CHECK(Cli({"bench", model, "--shape", "x=1,b"}).err ==
        "error: --shape: '1,b' is no list of sizes\n");
  CHECK(Cli({"bench", model, "--shape", "x=1,99999999999,4"}).err ==
        "error: an input of shape [1, 99999999999, 4] is too large to make up\n");
  CHECK(Cli({"bench", model, "--shape", "x=2,2,4", "--input", "i=missing.npy"}).code == 2);
}

}  // namespace
}  // namespace roundel::cmd
