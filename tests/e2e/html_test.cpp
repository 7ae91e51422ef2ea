// The pages of `--html` and `report` in a real browser.

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/cmd/cli.h"
#include "tests/support/needs.h"
#include "tests/support/process.h"

using namespace roundel;
using namespace roundel::support;

namespace {

using Json = nlohmann::json;

std::string Chromium() {
  for (const char* path :
       {"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"})
    if (std::filesystem::exists(path)) return path;
  return "";
}

Json InBrowser(const std::string& page) {
  const ProcessResult run = RunProgram(
      {"/usr/bin/env", "node", ROUNDEL_SOURCE_DIR "/tests/e2e/browser.js", Chromium(), page});
  INFO(run.err);
  REQUIRE(run.code == 0);
  return Json::parse(run.out);
}

void CheckIsSound(const Json& seen) {
  CHECK(seen["errors"] == Json::array());
  CHECK(seen["blocked"] == true);
  for (const auto& [view, what] : seen["views"].items()) {
    INFO(view << what.dump());
    CHECK(what["wide"] == false);  // only boxes scroll sideways
    CHECK(what["foreign"] == 0);
    CHECK(what["scripts"] == 1);
    CHECK(what["alarm"] == "undefined");
  }
  const Json &light = seen["views"]["1280 light"]["colors"],
             &dark = seen["views"]["1280 dark"]["colors"];
  CHECK(light[0] != dark[0]);
  CHECK(light[1] != dark[1]);
}

// Numbers by size, other texts by their characters; dashes last in both orders.
void CheckIsSorted(const Json& column) {
  INFO(column.dump());
  for (const Json& order : column["orders"]) {
    std::vector<std::string> values;
    for (const Json& value : order["values"]) values.push_back(value);
    const auto dash = std::find(values.begin(), values.end(), "–");
    CHECK(std::all_of(dash, values.end(), [](const std::string& v) { return v == "–"; }));
    values.erase(dash, values.end());
    const bool numbers = std::all_of(values.begin(), values.end(), [](const std::string& v) {
      char* end = nullptr;
      return !v.empty() && std::isfinite(std::strtod(v.c_str(), &end)) && *end == 0;
    });
    const auto less = [&](const std::string& a, const std::string& b) {
      return numbers ? std::stod(a) < std::stod(b) : a < b;
    };
    if (order["order"] == "descending") std::reverse(values.begin(), values.end());
    CHECK(std::is_sorted(values.begin(), values.end(), less));
  }
}

// A model whose nodes and values are named by text that would run as markup.
std::string HostileModel(const TempFolder& folder) {
  graph::Model model = graph::Parse(kConvModel).value();
  const std::string evil = "<script>alarm=1</script><img src=x onerror=alarm=2>\"'&";
  int number = 0;
  for (const graph::NodePtr& node : model.graph->nodes())
    node->name = evil + std::to_string(number++);
  model.graph->ReplaceUses("relu", evil);
  for (const graph::NodePtr& node : model.graph->nodes())
    if (node->output(0) == "relu") node->outputs[0] = evil;
  model.graph->outputs[0].name = evil + "y";
  model.graph->nodes().back()->outputs[0] = evil + "y";
  const std::string path = folder / "<b>model.onnx";
  REQUIRE(io::WriteOnnx(model, path).ok());
  return path;
}

}  // namespace

TEST_CASE("the page of a job renders, sorts, and keeps hostile names inert in Chromium") {
  if (SkippedWithout("browser", !Chromium().empty(), "chromium is not installed")) return;
  const TempFolder folder;
  std::vector<float> values;
  for (int i = 0; i < 8 * 72; ++i) values.push_back(std::sin(static_cast<float>(i * i)));
  const std::string data =
      WriteArray(folder, "x.npy", Tensor::FromVector<float>({8, 2, 6, 6}, values));
  REQUIRE(Cli({"quantize", HostileModel(folder), "--calib", data, "--recipe", "int8_per_tensor",
               "-o", folder / "q.onnx", "--html", folder / "q.html"})
              .code == 0);
  CHECK(Contents(folder / "q.html").find("&lt;script&gt;alarm") != std::string::npos);
  const Json seen = InBrowser(folder / "q.html");
  CheckIsSound(seen);
  CHECK(seen["views"]["400 light"]["pictures"].get<int>() >= 2);
  CHECK(seen["sorted"].size() >= 6);
  for (const Json& column : seen["sorted"]) CheckIsSorted(column);
}

TEST_CASE("the page of a batch renders, sorts and links to its jobs in Chromium") {
  if (SkippedWithout("browser", !Chromium().empty(), "chromium is not installed")) return;
  const TempFolder folder;
  std::string lines;
  for (int i = 0; i < 12; ++i)
    lines +=
        Json{{"schema", "roundel.status/1"},
             {"id", "model" + std::to_string(i * 7 % 12)},
             {"kind", i % 4 == 3 ? "model" : "ok"},
             {"message", i % 4 == 3 ? "<img src=x onerror=alarm=1>" : ""},
             {"seconds", 0.5 * i},
             {"sizes", {{"model_bytes", 1000000 * i}, {"output_bytes", 250000 * i}}},
             {"metrics", {{"sqnr_db", i % 3 == 0 ? Json() : Json(40.5 - i)}}},
             {"gates", Json::array()},
             {"report", i % 4 == 3 ? "" : "javascript:alarm=2//" + std::to_string(i) + ".json"}}
            .dump() +
        "\n";
  const std::string status = folder.Write("status.jsonl", lines);
  REQUIRE(Cli({"report", status, "-o", folder / "zoo.html"}).code == 0);
  const Json seen = InBrowser(folder / "zoo.html");
  CheckIsSound(seen);
  CHECK(seen["views"]["1280 light"]["links"].size() == 9);
  for (const std::string link : seen["views"]["1280 light"]["links"])
    CHECK(link.rfind("./javascript%3Aalarm", 0) == 0);
  for (const Json& column : seen["sorted"]) CheckIsSorted(column);
}
