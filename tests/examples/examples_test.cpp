// Builds and runs the program with the examples of this folder. As CONTRIBUTING.md states, each is one
// file and one line of a list.

#include <cmath>
#include <filesystem>
#include <fstream>

#include "lib/graph/metadata.h"
#include "lib/io/npy.h"
#include "lib/io/onnx.h"
#include "tests/support/parse_model.h"
#include "tests/support/process.h"

using namespace roundel;
using namespace roundel::support;
namespace fs = std::filesystem;

namespace {

const fs::path kRoot = ROUNDEL_SOURCE_DIR;
const fs::path kExamples = kRoot / "tests/examples";

ProcessResult Run(std::vector<std::string> args) {
  args.insert(args.begin(), std::string(ROUNDEL_BINARY_DIR) + "/tests/roundel_examples");
  return RunProgram(args);
}

// A model of one layer, and one sample of data, in a folder.
struct Fixture {
  TempFolder folder;
  std::string model = folder / "model.onnx", data = folder / "x.npy", out = folder / "out.onnx";

  explicit Fixture(const std::string& text = R"(

      opset 17
      graph layer (float32[1,2] x) => (float32[1,2] y) {
        float32[2,2] w = {2, -0.25, 0.5, -1.5}
        y = MatMul(x, w)
      })") {
    REQUIRE(io::WriteOnnx(ParseModel(text), model).ok());
    Tensor x = Tensor::Empty(DType::kFloat, {1, 2});
    x.mutable_data<float>()[0] = 1.5f;
    x.mutable_data<float>()[1] = -2;
    REQUIRE(io::WriteNpy(x, data).ok());
  }

  // The model that `quantize` with these flags writes.
  graph::Model Quantize(std::vector<std::string> flags) const {
    std::vector<std::string> args = {"quantize", model, "--calib", data, "-o", out, "-q"};
    args.insert(args.end(), flags.begin(), flags.end());
    const ProcessResult result = Run(args);
    INFO(result.err);
    REQUIRE(result.code == 0);
    auto read = io::ReadOnnx(out);
    REQUIRE(read.ok());
    return std::move(*read);
  }
};

// The scale of the quantizer that writes or reads the value `name`.
double ScaleOf(const graph::Model& model, const std::string& name) {
  const Tensor* scale = model.graph->FindInitializer(name + "_scale");
  REQUIRE(scale != nullptr);
  REQUIRE(scale->size() == 1);
  return scale->data<float>()[0];
}

std::string TextOf(const fs::path& path) {
  INFO(path.string());
  REQUIRE(fs::exists(path));
  return FileText(path.string());
}

}  // namespace

TEST_CASE("a pass is one file and one line") {
  const Fixture fixture;
  CHECK(Run({"passes"}).out.find("weight_clip") != std::string::npos);
  const std::string recipe = fixture.folder.Write("clip.yaml", R"(
weights: {granularity: tensor}
passes:
  - weight_clip: {limit: 0.75}
  - calibrate
)");
  CHECK(ScaleOf(fixture.Quantize({"--recipe", recipe}), "w") == Approx(0.75 / 127));
}

TEST_CASE("an operator is one file and one line") {
  const Fixture fixture(R"(

      opset 17, org.example 1
      graph cubes (float32[1,2] x) => (float32[1,2] y) { y = org.example.Cube(x) })");
  const std::string out = fixture.folder / "outputs";
  const ProcessResult result = Run({"dump", fixture.model, "--data", fixture.data, "-o", out});
  INFO(result.err);
  REQUIRE(result.code == 0);
  std::string written;
  for (const auto& entry : fs::recursive_directory_iterator(out))
    if (entry.path().extension() == ".npy") written = entry.path().string();
  const auto y = io::ReadNpy(written);
  REQUIRE(y.ok());
  CHECK(y->data<float>()[0] == std::pow(1.5f, 3));
  CHECK(y->data<float>()[1] == -8);
}

TEST_CASE("a calibration method is one file and one line") {
  const Fixture fixture;
  const auto scale = [&](const char* method) {
    return ScaleOf(fixture.Quantize({"--target", "generic", "--method", method}), "x");
  };
  CHECK(scale("half_range") == Approx(scale("min_max") / 2));
}

TEST_CASE("a format is one file and one line") {
  const graph::Model model = Fixture().Quantize({"--set", "export.format=signed_qdq"});
  CHECK(graph::MetadataOf(model, "example.signed") == "yes");
  CHECK(graph::MetadataOf(model, "roundel.format") == "SignedQDQ");
}

TEST_CASE("a command is one file and one line") {
  const Fixture fixture;
  CHECK(Run({"--help"}).out.find("Print the number of nodes of a model") != std::string::npos);
  const ProcessResult result = Run({"count", fixture.model});
  CHECK(result.code == 0);
  CHECK(result.out == "1 nodes\n");
}

TEST_CASE("a target is one file") {
  const std::string target = (kExamples / "configs/targets/small-npu.yaml").string();
  const graph::Model model = Fixture().Quantize({"--target", target});
  const Tensor* codes = model.graph->FindInitializer("w_quantized");
  REQUIRE(codes != nullptr);
  CHECK(codes->dtype() == DType::kInt4);
}

TEST_CASE("CONTRIBUTING shows the example of a pass, and names every example") {
  const std::string guide = TextOf(kRoot / "CONTRIBUTING.md");
  CHECK(guide.find(TextOf(kExamples / "passes/weight_clip.cpp")) != std::string::npos);
  int64_t found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kExamples)) {
    const std::string name = fs::relative(entry.path(), kExamples).string();
    if (!entry.is_regular_file() || name == "examples_test.cpp") continue;
    INFO(name);
    CHECK(guide.find(name) != std::string::npos);
    ++found;
  }
  CHECK(found == 11);
}
