#include <nlohmann/json.hpp>

#include "tests/cmd/cli.h"
#include "tests/support/catch.h"

namespace roundel::cmd {
namespace {

using support::Cli;
using support::CliResult;
using support::TempFolder;
using support::WriteArray;
using support::WriteModel;
using Json = nlohmann::json;

// An embedding, a projection and a head, as in a language model.
constexpr char kLanguageModel[] = R"(opset 13
graph g (int64[N,T] ids) => (float32[N,T,96] logits) {
  float32[96,64] table = random(1)
  float32[64,64] w = random(2)
  float32[64,96] head = random(3)
  h = Gather<axis=0>(table, ids)
  m = MatMul(h, w)
  r = Relu(m)
  logits = MatMul(r, head)
})";

TEST_CASE("recipe w4_llm packs every matrix without data, and lint finds nothing wrong with it") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kLanguageModel),
                    out = folder / "out.onnx";
  const CliResult made = Cli({"quantize", model, "--recipe", "w4_llm", "-o", out});
  INFO(made.err);
  REQUIRE(made.code == 0);
  const Json ops = Json::parse(Cli({"inspect", out, "--json"}).out)["ops"];
  INFO(ops.dump());
  CHECK(ops.dump().find("MatMulNBits") != std::string::npos);
  CHECK(ops.dump().find("GatherBlockQuantized") != std::string::npos);

  const CliResult clean = Cli({"lint", out, "--target", "llm-matmulnbits"});
  CHECK(clean.code == 0);
  CHECK(clean.out.find("no violations") != std::string::npos);
}

TEST_CASE("lint says of a float model that nothing is quantized") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kLanguageModel);
  const CliResult text = Cli({"lint", model});
  CHECK(text.code == 0);
  CHECK(text.out.find("nothing is quantized: this is a float model\n") != std::string::npos);
  CHECK(text.out.find("no violations") == std::string::npos);
  CHECK(Json::parse(Cli({"lint", model, "--json"}).out)["quantized"] == false);
  // Dynamically quantized layers, and operators on codes inside a branch.
  const std::string dynamic = WriteModel(folder, "dynamic.onnx", R"(opset 13
graph g (float32[N,4] x) => (float32[N,3] y) {
  uint8[4,3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
  c, s, z = DynamicQuantizeLinear(x)
  i = MatMulInteger(c, w, z)
  y = Cast<to=1>(i)
})");
  CHECK(Json::parse(Cli({"lint", dynamic, "--json"}).out)["quantized"] == true);
}

TEST_CASE("lint exits with 5 where there are violations, and says how many") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kLanguageModel),
                    out = folder / "out.onnx";
  REQUIRE(Cli({"quantize", model, "--recipe", "w4_llm", "-o", out}).code == 0);
  const CliResult text = Cli({"lint", out, "--target", "openvino"});
  CHECK(text.code == 5);
  CHECK(text.out.find("MatMulNBits") != std::string::npos);
  const CliResult listed = Cli({"lint", out, "--target", "openvino", "--json"});
  CHECK(listed.code == 5);
  const size_t count = Json::parse(listed.out)["violations"].size();
  CHECK(count > 0);
  CHECK(text.err == "error: " + std::to_string(count) + " violations of target 'openvino'\n");
  CHECK(Cli({"lint", folder.Write("bad.onnx", "no model")}).code == 3);
  CHECK(Cli({"lint", out, "--target", "openvinu"}).code == 2);
}

TEST_CASE("ranges are as wide as the target wants them") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", R"(opset 13
graph g (float32[N,2] x) => (float32[N,2] y) {
  float32[2,2] tiny = {1e-7, 0, 0, 1e-7}
  y = MatMul(x, tiny)
})");
  const std::string data =
      WriteArray(folder, "x.npy", Tensor::FromVector<float>({2, 2}, {-1, 0.5f, 3, 2}));
  const auto scale = [&](const std::string& target) {
    const std::string out = folder / (target + ".onnx");
    const CliResult made =
        Cli({"quantize", model, "--calib", data, "--recipe", "int8_per_tensor", "--target", target,
             "--set", "calibrate.method=min_max", "-o", out});
    INFO(made.err);
    REQUIRE(made.code == 0);
    CHECK(Cli({"lint", out, "--target", target}).out.find("a range of width") == std::string::npos);
    const Json table = Json::parse(support::Contents(folder / (target + ".encodings.json")));
    for (const Json& entry : table["activation_encodings"])
      if (entry["name"] == "y") return entry["scale"][0].get<double>();
    FAIL("no entry of y");
    return 0.0;
  };
  CHECK(scale("ort-cpu") == Approx(4e-7 / 255).epsilon(1e-5));
  CHECK(scale("qnn-htp") == Approx(1e-4 / 255).epsilon(1e-5));
}

}  // namespace
}  // namespace roundel::cmd
