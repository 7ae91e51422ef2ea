// roundel inspect --blocks. Which blocks there are is tested with lib/structure.

#include <nlohmann/json.hpp>

#include "tests/cmd/cli.h"

using namespace roundel;
using namespace roundel::support;

namespace {

constexpr char kNetwork[] = R"(opset 13
graph main (float32[N,2] x) => (float32[N,2] y) {
  float32[2,2] w = {1, 2, 3, 4}
  l1 = MatMul(x, w)
  r1 = Relu(l1)
  [inner] l2 = MatMul(r1, w)
  r2 = Relu(l2)
  l3 = MatMul(r2, w)
  s = Add(r1, l3)
  y = MatMul(s, w)
}
)";

TEST_CASE("inspect lists blocks") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kNetwork);
  CHECK(Cli({"inspect", model, "--blocks"}).out ==
        "block  layers  weights  nodes  inputs  outputs\n"
        "l1          1        4      2  x       r1\n"
        "inner       2        8      4  r1      s\n"
        "y           1        4      1  s       y\n"
        "3 blocks, 4 layers\n");
  const auto json = nlohmann::json::parse(Cli({"inspect", model, "--blocks", "--json"}).out);
  REQUIRE(json["blocks"].size() == 3);
  CHECK(json["blocks"][1] == nlohmann::json{{"name", "inner"},
                                            {"layers", {"inner", "l3"}},
                                            {"weights", 8},
                                            {"nodes", 4},
                                            {"inputs", {"r1"}},
                                            {"outputs", {"s"}},
                                            {"targets", 1},
                                            {"boundary", ""}});
  CHECK_FALSE(nlohmann::json::parse(Cli({"inspect", model, "--json"}).out).contains("blocks"));
  const std::string cut = Cli({"inspect", model, "--blocks", "--max-layers", "1"}).out;
  CHECK(cut.find("4 blocks, 4 layers\n  inner ends: a part of 2 layers") != std::string::npos);
  // What gradients do not pass ends a block.
  const std::string hard = WriteModel(folder, "hard.onnx", R"(opset 13
graph main (float32[N,2] x) => (float32[N,2] y) {
  float32[2,2] w = {1, 2, 3, 4}
  l1 = MatMul(x, w)
  h1 = Hardmax(l1)
  y = MatMul(h1, w)
}
)");
  const std::string parts = Cli({"inspect", hard, "--blocks", "--max-layers", "9"}).out;
  CHECK(parts.find("2 blocks, 2 layers\n  l1 ends: Hardmax") != std::string::npos);
  CHECK(Cli({"inspect", model, "--max-layers", "1"}).code == 2);
  CHECK(Cli({"inspect", model, "--blocks", "--max-layers", "0"}).code == 2);
}

}  // namespace
