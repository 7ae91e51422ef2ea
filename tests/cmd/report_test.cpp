#include <nlohmann/json.hpp>

#include "tests/cmd/cli.h"

using namespace roundel;
using namespace roundel::support;

TEST_CASE("report makes a page from the report of a job") {
  const TempFolder folder;
  const std::string model = WriteModel(folder, "model.onnx", kConvModel);
  const std::string data = WriteArray(
      folder, "x.npy", Tensor::FromVector<float>({2, 2, 6, 6}, std::vector<float>(144, 0.5f)));
  REQUIRE(Cli({"quantize", model, "--calib", data, "-o", folder / "q.onnx"}).code == 0);
  const std::string report = folder / "q.report.json";
  const CliResult first = Cli({"report", report, "-o", folder / "a.html"});
  REQUIRE(first.code == 0);
  CHECK(first.out.find("a.html (") != std::string::npos);
  const CliResult second = Cli({"report", report, "-o", folder / "b.html", "--json"});
  REQUIRE(second.code == 0);
  CHECK(nlohmann::json::parse(second.out)["bytes"] == Contents(folder / "b.html").size());
  CHECK(Contents(folder / "a.html") == Contents(folder / "b.html"));
  CHECK(Contents(folder / "a.html").find("<title>model.onnx") != std::string::npos);
}

TEST_CASE("report refuses what is no report, and outputs that would replace it") {
  const TempFolder folder;
  const std::string other = folder.Write("other.json", "{\"version\": 1}");
  CHECK(Cli({"report", other, "-o", folder / "a.html"}).code == 2);
  CHECK(Cli({"report", other, "-o", other}).code == 2);
  CHECK(Cli({"report", other}).code == 2);
  CHECK(Cli({"report", folder / "missing.json", "-o", folder / "a.html"}).code != 0);
  CHECK(FilesIn(folder) == std::vector<std::string>{"other.json"});
}
