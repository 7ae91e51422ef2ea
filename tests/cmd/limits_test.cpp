
#include "lib/base/limits.h"
#include "tests/cmd/cli.h"
#include "tests/support/catch.h"

namespace roundel::cmd {
namespace {

using support::Cli;
using support::CliResult;
using support::TempFolder;
using support::WriteArray;
using support::WriteModel;

TEST_CASE("the flag --max-memory bounds what a model takes") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", R"(opset 13
graph g (float32[N,1000] x) => (float32[N,1000] y) {
  a = Relu(x)
  y = Tanh(a)
})");
  const CliResult small =
      Cli({"bench", model, "--batch", "1000", "--runs", "1", "--max-memory", "6M"});
  CHECK(small.code == 3);
  CHECK_THAT(small.err, Catch::Contains("out of memory") && Catch::Contains("of 6.0 MB"));
  CHECK(Cli({"bench", model, "--batch", "1000", "--runs", "1", "--max-memory", "50MB"}).code == 0);
  CHECK(Cli({"bench", model, "--batch", "1000", "--runs", "1"}).code == 0);  // the limit is gone
  const CliResult file = Cli({"bench", model, "--max-memory", "20"});
  CHECK(file.code == 3);
  CHECK_THAT(file.err, Catch::Contains("model.onnx': out of memory"));
  CHECK(Cli({"bench", model, "--max-memory", "many"}).code == 2);
  CHECK(Cli({"bench", model, "--max-memory", "0"}).code == 2);
  CHECK(Cli({"targets", "--max-memory", "1G"}).code == 2);  // runs no model
  SetMemoryLimit(0);
}

TEST_CASE("the flag --max-iterations ends a loop without end") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", R"(opset 16
graph g (float32[3] x) => (float32[3] y) {
  y = Loop<body=graph b (int64[] i, bool[] c, float32[3] v) => (bool[] c2, float32[3] v2) {
    c2 = Constant<value=bool[]{1}>()
    v2 = Neg(v)
  }>("", "", x)
})");
  const std::string x = WriteArray(folder, "x.npy", Tensor::Zeros(DType::kFloat, {3}));
  const CliResult endless =
      Cli({"dump", model, "--feed", "x=" + x, "-o", folder / "out", "--max-iterations", "500"});
  CHECK(endless.code == 3);
  CHECK_THAT(endless.err, Catch::Contains("the loop does not end: it has run 500 times"));
  SetLoopLimit(0);
}

}  // namespace
}  // namespace roundel::cmd
