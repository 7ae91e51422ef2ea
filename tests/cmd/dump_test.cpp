
#include "tests/cmd/cli.h"
#include "tests/support/catch.h"

namespace roundel::cmd {
namespace {

using support::Cli;
using support::CliResult;
using support::TempFolder;
using support::WriteArray;
using support::WriteModel;

// Outputs whose first axis is not the sample axis: a scalar and a transposed tensor.
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

// One row for every sample, a state, a sequence as long as the input's, and a number.
constexpr char kStates[] = R"(opset 13
graph g (float32[1,T,2] x) => (float32[1,2] y, float32[2,1,2] state, float32[T,2] frames, float32[] most) {
  int64[1] one = {1}
  int64[1] zero = {0}
  m = ReduceMax<axes=[1], keepdims=0>(x)
  y = Neg(m)
  u = Unsqueeze(m, zero)
  state = Concat<axis=0>(u, u)
  frames = Squeeze(x, zero)
  most = ReduceMax<keepdims=0>(x)
})";

TEST_CASE("dump writes a file for every sample where they give no rows of the same shape") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kStates), out = folder / "out";
  std::filesystem::create_directories(folder / "data");
  // The first sample's frames look like a row.
  const std::vector<Tensor> samples = {Tensor::FromVector<float>({1, 1, 2}, {1, 2}),
                                       Tensor::FromVector<float>({1, 3, 2}, {3, 4, 7, 6, 5, 8})};
  for (size_t i = 0; i < samples.size(); ++i)
    WriteArray(folder, "data/" + std::to_string(i) + ".npy", samples[i]);
  const CliResult result = Cli({"dump", model, "--data", folder / "data", "--inputs", "-o", out});
  INFO(result.err);
  REQUIRE(result.code == 0);
  CHECK(*io::ReadNpy(out + "/output.y.npy") == Tensor::FromVector<float>({2, 2}, {-1, -2, -7, -8}));
  CHECK(*io::ReadNpy(out + "/output.most.npy") == Tensor::FromVector<float>({2}, {2, 8}));
  CHECK(*io::ReadNpy(out + "/output.frames.0.npy") == Tensor::FromVector<float>({1, 2}, {1, 2}));
  CHECK(*io::ReadNpy(out + "/output.frames.1.npy") ==
        Tensor::FromVector<float>({3, 2}, {3, 4, 7, 6, 5, 8}));
  CHECK(*io::ReadNpy(out + "/output.state.1.npy") ==
        Tensor::FromVector<float>({2, 1, 2}, {7, 8, 7, 8}));
  for (const size_t i : {0, 1})
    CHECK(*io::ReadNpy(out + "/input.x." + std::to_string(i) + ".npy") == samples[i]);
  CHECK_FALSE(std::filesystem::exists(out + "/output.frames.npy"));
}

TEST_CASE("dump of one sample gives every output as it is") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kStates), out = folder / "out";
  const std::string x =
      WriteArray(folder, "x.npy", Tensor::FromVector<float>({1, 2, 2}, {1, 2, 3, 4}));
  const CliResult result = Cli({"dump", model, "--data", x, "-o", out});
  INFO(result.err);
  REQUIRE(result.code == 0);
  CHECK(*io::ReadNpy(out + "/output.state.npy") ==
        Tensor::FromVector<float>({2, 1, 2}, {3, 4, 3, 4}));
  CHECK(*io::ReadNpy(out + "/output.frames.npy") ==
        Tensor::FromVector<float>({2, 2}, {1, 2, 3, 4}));
}

TEST_CASE(
    "what a batch gives together is dumped as single samples give it, whatever --batch says") {
  const TempFolder folder;
  // One range for a whole call.
  const std::string model = WriteModel(folder, "model.onnx", R"(opset 13
graph g (float32[N,2] x) => (float32[N,2] y) {
  c, s, z = DynamicQuantizeLinear(x)
  y = DequantizeLinear(c, s, z)
})");
  const std::string x = WriteArray(
      folder, "x.npy", Tensor::FromVector<float>({3, 2}, {1, 0.3f, 100, 30, 0.01f, 0.003f}));
  for (const std::string batch : {"0", "2", "3"}) {
    const CliResult result =
        Cli({"dump", model, "--data", x, "--batch", batch, "-o", folder / "out"});
    REQUIRE(result.code == 0);
    const auto y = io::ReadNpy(folder / "out/output.y.npy");
    REQUIRE(y.ok());
    // A step is 1/255 of the larger of the two.
    for (const size_t i : {1, 3, 5})
      CHECK(y->data<float>()[i] == Approx(0.3 * y->data<float>()[i - 1]).epsilon(0.01));
  }
  REQUIRE(
      Cli({"dump", model, "--data", x, "--batch", "3", "--sample", "stack", "-o", folder / "out"})
          .code == 0);
  CHECK(io::ReadNpy(folder / "out/output.y.npy")->data<float>()[5] == 0);
}

}  // namespace
}  // namespace roundel::cmd
