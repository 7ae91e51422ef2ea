#include <catch2/catch.hpp>

#include "tests/cmd/cli.h"

namespace roundel::cmd {
namespace {

using support::Cli;
using support::CliResult;
using support::TempFolder;
using support::WriteArray;
using support::WriteModel;

// Outputs whose first axis is no sample: a scalar, and a transposed one.
constexpr char kModel[] = R"(opset 13
graph g (float32[N,3] x, int64[] factor) => (float32[3,N] t, int64[] doubled) {
  int64[] two = {2}
  t = Transpose(x)
  doubled = Mul(factor, two)
})";

TEST_CASE("dump runs a model once on the arrays that --feed names") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kModel);
  const std::string x =
      WriteArray(folder, "x.npy", Tensor::FromVector<float>({2, 3}, {1, 2, 3, 4, 5, 6}));
  const std::string factor = WriteArray(folder, "factor.npy", Tensor::Scalar<int64_t>(21));
  const CliResult result =
      Cli({"dump", model, "--feed", "factor=" + factor, "--feed", "x=" + x, "-o", folder / "out"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  CHECK(*io::ReadNpy(folder / "out/output.t.npy") ==
        Tensor::FromVector<float>({3, 2}, {1, 4, 2, 5, 3, 6}));
  CHECK(*io::ReadNpy(folder / "out/output.doubled.npy") == Tensor::Scalar<int64_t>(42));
}

TEST_CASE("dump says what is wrong with --feed, and leaves no folder then") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kModel), out = folder / "out";
  const std::string x = WriteArray(folder, "x.npy", Tensor::Zeros(DType::kFloat, {2, 4}));
  const std::string factor = WriteArray(folder, "factor.npy", Tensor::Scalar<int64_t>(21));
  CHECK(Cli({"dump", model, "--feed", "x=" + x, "-o", out}).err ==
        "error: input 'factor' has no value: give --feed factor=FILE.npy\n");
  CHECK(Cli({"dump", model, "--feed", "z=" + x, "-o", out}).err ==
        "error: --feed: the model has no input 'z'; it takes x, factor\n");
  const CliResult both = Cli({"dump", model, "--feed", "x=" + x, "--data", x, "-o", out});
  CHECK(both.code == 2);
  CHECK(both.err == "error: --feed and --data exclude each other\n");
  const CliResult shape =
      Cli({"dump", model, "--feed", "x=" + x, "--feed", "factor=" + factor, "-o", out});
  CHECK(shape.code == 3);
  CHECK(shape.err == "error: model input 'x' takes shape [N, 3], given [2, 4]\n");
  CHECK_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace roundel::cmd
