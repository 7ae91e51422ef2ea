#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "tests/cmd/cli.h"

using namespace roundel;
using namespace roundel::support;

using Json = nlohmann::json;

namespace {

Tensor Images(int64_t count) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> values;
  for (int64_t i = 0; i < count * 72; ++i) values.push_back(normal(random));
  return Tensor::FromVector<float>({count, 2, 6, 6}, values);
}

// A job on the convolution model; the report as JSON.
struct Job {
  TempFolder folder;
  std::string model = WriteModel(folder, "model.onnx", kConvModel);
  Tensor images = Images(8);
  std::string data = WriteArray(folder, "x.npy", images);

  Json Run(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {"quantize", model, "--calib", data, "-o", folder / "q.onnx"};
    args.insert(args.end(), more.begin(), more.end());
    const CliResult result = Cli(args);
    INFO(result.err);
    REQUIRE(result.code == 0);
    return Json::parse(Contents(folder / "q.report.json"));
  }
};

}  // namespace

TEST_CASE("the flag --html writes the page that report makes later") {
  const Job job;
  job.Run({"--html", job.folder / "q.html"});
  REQUIRE(Cli({"report", job.folder / "q.report.json", "-o", job.folder / "later.html"}).code == 0);
  CHECK(Contents(job.folder / "q.html") == Contents(job.folder / "later.html"));
  const std::string page = Contents(job.folder / "q.html");
  for (const char* section : {"network", "worst", "layers", "float", "passes", "repeat"})
    CHECK(page.find(std::string("<section id=\"") + section + "\"") != std::string::npos);
  CHECK(page.find("roundel run q.recipe.yaml") != std::string::npos);
  CHECK(Cli({"quantize", job.model, "--calib", job.data, "-o", job.folder / "r.onnx", "--html",
             job.folder / "r.onnx"})
            .code == 2);
}

// Independent computation: each value of both models on the same samples.
TEST_CASE("errors along the network are those that compare finds in the written model") {
  const Job job;
  CHECK_FALSE(job.Run().contains("network"));  // which takes time
  const Json report = job.Run({"--set", "check.network=true"});
  const CliResult compared = Cli(
      {"compare", job.model, job.folder / "q.onnx", "--data", job.data, "--limit", "0", "--json"});
  REQUIRE(compared.code == 0);
  std::map<std::string, double> expected;
  const Json tensors = Json::parse(compared.out);
  for (const Json& tensor : tensors["tensors"])
    if (tensor["sqnr_db"].is_number()) expected[tensor["name"]] = tensor["sqnr_db"];
  CHECK(report["network"]["samples"] == 8);
  size_t found = 0;
  for (const Json& value : report["network"]["values"]) {
    const auto other = expected.find(value["value"]);
    if (other == expected.end()) continue;
    CHECK(value["sqnr_db"].get<double>() == Approx(other->second).epsilon(1e-4));
    ++found;
  }
  CHECK(found >= 2);
  CHECK(report["network"]["values"].back()["sqnr_db"].get<double>() ==
        Approx(report["facts"]["check_sqnr_db y"].get<double>()).epsilon(1e-4));
}

TEST_CASE("a range's clipped share and rounding error are those of the data") {
  const Job job;
  const Json report = job.Run({"--set", "calibrate.percentile=95"});
  const Json* range = nullptr;
  for (const Json& pass : report["passes"])
    if (pass.contains("ranges"))
      for (const Json& r : pass["ranges"])
        if (r["values"][0] == "x") range = &r;
  REQUIRE(range != nullptr);
  const double low = (*range)["low"], high = (*range)["high"], step = (high - low) / 255;
  double below = 0, above = 0, signal = 0, noise = 0;
  for (const float value : job.images.span<float>()) {
    const double x = value;
    below += x < low - step / 2;
    above += x > high + step / 2;
    const double rounded = low + std::clamp(std::round((x - low) / step), 0.0, 255.0) * step;
    signal += x * x;
    noise += (x - rounded) * (x - rounded);
  }
  const auto count = static_cast<double>(job.images.size());
  // The histogram resolves a value to 1/256 of its magnitude.
  CHECK((*range)["clipped_low"].get<double>() == Approx(below / count).margin(2 / count));
  CHECK((*range)["clipped_high"].get<double>() == Approx(above / count).margin(2 / count));
  CHECK((*range)["sqnr_db"].get<double>() == Approx(10 * std::log10(signal / noise)).margin(0.3));
  double total = 0;
  for (const Json& share : (*range)["histogram"]) total += share.get<double>();
  CHECK(total == Approx(1).epsilon(1e-4));
}

TEST_CASE("for min_max the histograms are those of the first samples, if a page will show them") {
  const Job job;
  const auto range_of_x = [&](const std::string& network) {
    const Json report = job.Run({"--set", "calibrate.method=min_max", "--set", "check.samples=3",
                                 "--set", "check.network=" + network});
    for (const Json& pass : report["passes"])
      if (pass.contains("ranges"))
        for (const Json& range : pass["ranges"])
          if (range["values"][0] == "x") return range;
    FAIL("no range of x");
    return Json();
  };
  CHECK_FALSE(range_of_x("false").contains("histogram"));
  const Json range = range_of_x("true");
  CHECK(range["histogram_samples"] == 3);
  const double low = range["seen_low"], high = range["seen_high"];
  std::vector<double> shares(range["histogram"].size());
  const int64_t count = job.images.size() / job.images.dim(0) * 3;
  for (int64_t i = 0; i < count; ++i) {
    const double place = (job.images.data<float>()[i] - low) / (high - low);
    const auto part = static_cast<size_t>(place * static_cast<double>(shares.size()));
    shares[std::min(part, shares.size() - 1)] += 1.0 / static_cast<double>(count);
  }
  double difference = 0, total = 0;
  for (size_t i = 0; i < shares.size(); ++i) {
    total += range["histogram"][i].get<double>();
    difference += std::fabs(shares[i] - range["histogram"][i].get<double>());
  }
  CHECK(total == Approx(1).epsilon(1e-4));
  CHECK(difference < 0.1);  // values near an edge: a bucket is 1/256 of its value wide
}

TEST_CASE("report makes the page of a batch, and those of its jobs beside their reports") {
  const Job job;
  job.Run();
  const auto status = [](const std::string& id, const std::string& kind,
                         const std::string& report) {
    return Json{{"schema", "roundel.status/1"},
                {"id", id},
                {"hash", "0"},
                {"kind", kind},
                {"exit_code", kind == "ok" ? 0 : 3},
                {"message", ""},
                {"seconds", 1.5},
                {"peak_memory_bytes", 1000000},
                {"sizes", {{"model_bytes", 4}, {"output_bytes", 1}}},
                {"metrics", {{"sqnr_db", 31.5}}},
                {"gates", Json::array()},
                {"report", report}}
               .dump() +
           "\n";
  };
  const std::string lines = job.folder.Write(
      "status.jsonl", status("first", "model", "") + status("first", "ok", "q.report.json") +
                          status("evil", "ok", "../outside.report.json") + "{\"schema\": \"roun");
  const CliResult result = Cli({"report", lines, "-o", job.folder.Write("pages/zoo.html", "")});
  REQUIRE(result.code == 0);
  const std::string page = Contents(job.folder / "pages/zoo.html");
  CHECK(page.find("<a href=\"./../q.report.html\">first</a>") != std::string::npos);
  CHECK(page.find("outside") == std::string::npos);
  CHECK(page.find("<small>of 2</small>") != std::string::npos);
  CHECK(Contents(job.folder / "q.report.html").find("<title>model.onnx") != std::string::npos);
}

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
