#include <nlohmann/json.hpp>

#include <cmath>

#include "lib/base/random.h"
#include "tests/cmd/cli.h"

using namespace roundel;
using namespace roundel::support;

using Json = nlohmann::json;

namespace {

Tensor Gaussian(const Shape& shape, uint64_t seed) {
  Random random(seed);
  Tensor values = Tensor::Empty(DType::kFloat, shape);
  for (int64_t i = 0; i < values.size(); ++i)
    values.mutable_data<float>()[i] = static_cast<float>(random.Normal());
  return values;
}

// Two consecutive layers. One weight of the second is much larger than the others, which one scale of
// few bits rounds to zero.
constexpr char kOutlierModel[] = R"(opset 13
graph main (float32[N,16] x) => (float32[N,8] y) {
  float32[16,16] w1 = random(1)
  float32[16,8] w2 = random(2)
  hidden = MatMul(x, w1)
  /layer/second = MatMul(hidden, w2)
  y = Identity(/layer/second)
}
)";

struct Job {
  TempFolder folder;
  std::string model, data, out = folder / "out.onnx";

  Job(const std::string& text, const Tensor& samples)
      : model(WriteModel(folder, "model.onnx", text)),
        data(WriteArray(folder, "samples.npy", samples)) {}

  Json Report(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {"quantize", model, "--calib", data, "-o", out};
    args.insert(args.end(), more.begin(), more.end());
    REQUIRE(Cli(args).code == 0);
    return Json::parse(Contents(folder / "out.report.json"));
  }
};

// The warnings of the self-check.
std::vector<std::string> Warnings(const Json& report) {
  std::vector<std::string> found;
  for (const std::string warning : report["warnings"])
    if (warning.starts_with("check:")) found.push_back(warning);
  return found;
}

// The words of `--set exclude=...` in a warning, as a shell would split them.
std::vector<std::string> ExcludeWords(const std::string& warning) {
  const size_t at = warning.find("--set ");
  REQUIRE(at != std::string::npos);
  std::string value = warning.substr(at + 6);
  if (value[0] == '\'')
    value = value.substr(1, value.find('\'', 1) - 1);
  else
    value = value.substr(0, value.find(' '));
  return {"--set", value};
}

}  // namespace

TEST_CASE("the self-check says how far each output is from the float model") {
  const Job job(kOutlierModel, Gaussian({12, 16}, 5));
  const Json facts = job.Report()["facts"];
  CHECK(facts["check_samples"] == 8);
  CHECK(facts["check_sqnr_db y"].get<double>() > 20);
  CHECK(facts["check_agreement_percent y"].get<double>() >= 75);
  CHECK(Warnings(job.Report()).empty());
}

TEST_CASE("the self-check's SQNR is that of eval on the same samples") {
  const Job job(kOutlierModel, Gaussian({8, 16}, 5));
  const double checked = job.Report()["facts"]["check_sqnr_db y"];
  const CliResult eval = Cli({"eval", job.model, job.out, "--data", job.data, "--json"});
  REQUIRE(eval.code == 0);
  CHECK(checked == Json::parse(eval.out)["outputs"][0]["sqnr_db"].get<double>());
}

TEST_CASE("an output under the bound is said, with an exclude line that repairs it") {
  const Job job(kOutlierModel, Gaussian({12, 16}, 5));
  const std::string recipe = job.folder / "r.yaml";
  std::ofstream(recipe) << "activations: float\nrules:\n  - {node: /layer/second, weights: "
                           "int2 symmetric, granularity: tensor}\npasses: [calibrate]\n";
  const Json report = job.Report({"--recipe", recipe, "--target", "generic"});
  REQUIRE(report["facts"]["check_sqnr_db y"].get<double>() < 10);
  const std::vector<std::string> warnings = Warnings(report);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("output 'y' has an SQNR of") != std::string::npos);
  CHECK(warnings[0].find("MatMul '/layer/second'") != std::string::npos);
  std::vector<std::string> again = {"--recipe", recipe, "--target", "generic"};
  for (const std::string& word : ExcludeWords(warnings[0])) again.push_back(word);
  CHECK(again.back() == "exclude=/layer/second");
  const Json repaired = job.Report(again);
  CHECK(repaired["facts"]["check_sqnr_db y"].get<double>() > 10);
  CHECK(Warnings(repaired).empty());
}

TEST_CASE("what the recipe excludes already stays in the exclude line, odd names are quoted") {
  std::string text = kOutlierModel;
  for (size_t at; (at = text.find("/layer/second")) != std::string::npos;)
    text.replace(at, 13, "\"it's second, b\"");
  const Job job(text, Gaussian({12, 16}, 5));
  const std::string recipe = job.folder / "r.yaml";
  std::ofstream(recipe) << "activations: float\nexclude: [none]\nrules:\n  - {op: MatMul, weights: "
                           "int2 symmetric, granularity: tensor}\npasses: [calibrate]\n";
  const std::vector<std::string> warnings = Warnings(
      job.Report({"--recipe", recipe, "--target", "generic", "--set", "exclude=[hidden, none]"}));
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("--set 'exclude=[hidden, none, \"it'\\''s second, b\"]'") !=
        std::string::npos);
}

TEST_CASE("a tensor of many values that is left with few codes is named") {
  Tensor samples = Gaussian({12, 16}, 5);
  samples.mutable_data<float>()[0] = 1e5f;  // everything else lies within half a step
  const Job job(R"(opset 13
graph main (float32[N,16] x) => (float32[N,16] y) {
  float32[16,16] w = random(1)
  y = MatMul(x, w)
}
)",
                samples);
  const std::vector<std::string> min_max = {"--set", "calibrate.method=min_max"};
  const std::vector<std::string> warnings = Warnings(job.Report(min_max));
  REQUIRE_FALSE(warnings.empty());
  CHECK(warnings[0].starts_with("check: too few codes: 'x' (input) uses 2 codes"));
  std::vector<std::string> off = min_max;
  off.insert(off.end(), {"--set", "check.min_codes=0"});
  for (const std::string& warning : Warnings(job.Report(off)))
    CHECK(warning.find("too few codes") == std::string::npos);
}

TEST_CASE("the self-check can be bounded, switched off, and says when it has no data") {
  const Job job(kOutlierModel, Gaussian({12, 16}, 5));
  CHECK(job.Report({"--set", "check.samples=3"})["facts"]["check_samples"] == 3);
  CHECK_FALSE(job.Report({"--set", "check.samples=0"})["facts"].contains("check_samples"));
  CHECK(Warnings(job.Report({"--set", "check.min_sqnr=100"})).size() == 1);
  REQUIRE(Cli({"quantize", job.model, "--recipe", "int8_dynamic", "-o", job.out}).code == 0);
  const Json report = Json::parse(Contents(job.folder / "out.report.json"));
  CHECK(report["facts"]["check_left_out"] == "there is no calibration data: give --calib");
}

TEST_CASE("every format of export is checked") {
  const Job job(kOutlierModel, Gaussian({12, 16}, 5));
  int formats = 0;
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--set", "export.format=qoperator"},
        {"--recipe", "int8_dynamic"},
        {"--recipe", "w4_llm", "--set", "weights.block_size=16"}}) {
    const Json report = job.Report(more);
    CHECK(report["facts"]["check_sqnr_db y"].get<double>() > 10);
    CHECK(Warnings(report).empty());
    ++formats;
  }
  CHECK(formats == 3);
}
