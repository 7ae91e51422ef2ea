// The built-in sample from end to end, as scripts/quickstart.sh runs it.

#include <nlohmann/json.hpp>

#include "tests/cmd/cli.h"

using namespace roundel;
using namespace roundel::support;
using Json = nlohmann::json;

namespace {
const std::string kSample = std::string(ROUNDEL_SOURCE_DIR) + "/testdata/sample";
}

TEST_CASE("the sample keeps its accuracy through both recipes") {
  for (const char* recipe : {"int8_per_channel", "int8_per_tensor"}) {
    INFO(recipe);
    const TempFolder folder;
    const std::string out = folder / "out.onnx";
    const CliResult made =
        Cli({"quantize", kSample + "/model.onnx", "--calib", kSample + "/calib", "--preset", "tf",
             "--count", "64", "--recipe", recipe, "-o", out, "--json"});
    INFO(made.err);
    REQUIRE(made.code == 0);
    const Json report = Json::parse(made.out);
    CHECK(report["float_nodes"].empty());
    // 8 bits instead of 32, plus scales and int32 biases.
    CHECK(report["facts"]["weight_bytes_after"].get<double>() <
          0.4 * report["facts"]["weight_bytes_before"].get<double>());
    const CliResult measured =
        Cli({"eval", kSample + "/model.onnx", out, "--data", kSample + "/test_images.npy",
             "--labels", kSample + "/test_labels.npy", "--preset", "tf", "--count", "200",
             "--max-drop", "2", "--min-sqnr", "15", "--json"});
    INFO(measured.err);
    REQUIRE(measured.code == 0);
    CHECK(Json::parse(measured.out)["models"][0]["top1_percent"].get<double>() > 90);
  }
}
