// What the commands write for CI systems, and comparison of reports.

#include <nlohmann/json.hpp>

#include <cstdlib>

#include "cmd/metric_command.h"
#include "tests/cmd/cli.h"

namespace roundel::cmd {
namespace {

using support::Cli;
using support::CliResult;
using support::Contents;
using support::TempFolder;
using support::WriteArray;
using support::WriteModel;
using Json = nlohmann::ordered_json;

struct Bench {
  TempFolder folder;
  std::string model = WriteModel(folder, "model.onnx", support::kGemmModel);
  std::string data = WriteArray(folder, "points.npy", support::Points());
  std::string junit = folder / "junit.xml";

  std::vector<std::string> Eval(const std::vector<std::string>& more) const {
    std::vector<std::string> args = {"eval", model, model, "--data", data};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }
};

std::string Error(const std::vector<std::string>& args, int code) {
  const CliResult result = Cli(args);
  INFO(result.err);
  CHECK(result.code == code);
  return result.err;
}

bool Has(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

Json ReportWith(double top1, double sqnr, int64_t bytes) {
  return {{"schema", "roundel.report/1"},
          {"facts",
           {{"data_hash", "a"},
            {"eval_top1_quantized", top1},
            {"eval_sqnr_db y", sqnr},
            {"output_bytes", bytes}}},
          {"timing", {{"seconds", 10.0}}}};
}

}  // namespace

TEST_CASE("eval writes its gates as JUnit, also if it fails") {
  const Bench bench;
  CHECK(Cli(bench.Eval({"--min-sqnr", "10", "--junit", bench.junit})).code == 0);
  CHECK(Has(Contents(bench.junit), "tests=\"1\" failures=\"0\""));
  CHECK(Error(bench.Eval({"--max-size", "10", "--junit", bench.junit}), 5).find("bytes") !=
        std::string::npos);
  CHECK(Has(Contents(bench.junit), "<failure message=\"the model has "));
  // A run that fails is reported as an error case.
  CHECK(Cli({"eval", bench.model, bench.model, "--data", bench.folder / "none", "--min-sqnr", "1",
             "--junit", bench.junit})
            .code == 4);
  CHECK(Has(Contents(bench.junit), "errors=\"1\""));
  CHECK(Has(Contents(bench.junit), "name=\"roundel eval\""));
}

TEST_CASE("the flags --junit and --github are refused before the work if they cannot be done") {
  const Bench bench;
  CHECK(Has(Error(bench.Eval({"--junit", bench.model}), 2), "is the same file as input"));
  CHECK(Has(Error(bench.Eval({"--junit", bench.folder / "no/x.xml"}), 2), "there is no folder"));
  CHECK(Has(Error(bench.Eval({"--github", "--json"}), 2), "give one of them"));
  CHECK(Has(Error({"compare", bench.model, bench.model, "--data", bench.data, "--github"}, 2),
            "give --min-sqnr or --baseline"));
}

TEST_CASE("the flag --github prints commands and adds to the summary of the step") {
  const Bench bench;
  const std::string summary = bench.folder / "summary.md";
  setenv("GITHUB_STEP_SUMMARY", summary.c_str(), 1);
  const CliResult result = Cli(bench.Eval({"--max-size", "10", "--github"}));
  Cli(bench.Eval({"--min-sqnr", "10", "--github"}));
  unsetenv("GITHUB_STEP_SUMMARY");
  CHECK(result.code == 5);
  CHECK(Has(result.out, "\n::error file="));
  const std::string text = Contents(summary);
  CHECK(Has(text, "| **failed** |"));
  CHECK(Has(text, "| passed |"));  // of the second command, behind the first
}

TEST_CASE("compare has a gate on every tensor") {
  const Bench bench;
  const std::vector<std::string> args = {"compare", bench.model, bench.model, "--data", bench.data};
  std::vector<std::string> good = args, bad = args;
  good.insert(good.end(), {"--min-sqnr", "10", "--junit", bench.junit});
  CHECK(Cli(good).code == 0);
  CHECK(Has(Contents(bench.junit), "failures=\"0\""));
  const std::string other = WriteModel(bench.folder, "other.onnx", R"(opset 13
graph main (float32[N,2] x) => (float32[N,3] y) {
  float32[2,3] w = {1, 0, -1, 0, 1, -1}
  float32[3] b = {1, 1, 0.5}
  y = Gemm(x, w, b)
}
)");
  CHECK(Has(Error({"compare", bench.model, other, "--data", bench.data, "--min-sqnr", "30",
                   "--junit", bench.junit},
                  5),
            "quality gate: tensor 'y' (Gemm) has an SQNR of "));
  CHECK(Has(Contents(bench.junit), "failures=\"1\""));
}

TEST_CASE("lint writes JUnit with a case for each violation, or one that passed") {
  const Bench bench;
  const std::string quantized = bench.folder / "q.onnx";
  REQUIRE(Cli({"quantize", bench.model, "--calib", bench.data, "-o", quantized}).code == 0);
  CHECK(Cli({"lint", quantized, "--junit", bench.junit}).code == 0);
  CHECK(Has(Contents(bench.junit), "tests=\"1\" failures=\"0\""));
  const CliResult wrong =
      Cli({"lint", quantized, "--target", "tensorrt", "--junit", bench.junit, "--json"});
  CHECK(wrong.code == 5);
  const Json violations = Json::parse(wrong.out)["violations"];
  CHECK(violations.size() > 0);
  CHECK(Has(Contents(bench.junit), "failures=\"" + std::to_string(violations.size()) + "\""));
}

TEST_CASE("a metric of the user's own is measured on each model") {
  const Bench bench;
  const std::string larger = bench.folder / "larger.onnx";
  std::filesystem::copy_file(bench.model, larger);
  std::ofstream(bench.folder / "x").put('x');
  const std::vector<std::string> args = {"eval", bench.model, larger, "--metric-command",
                                         "echo progress; basename {model} | wc -c; echo"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), args.begin(), args.end());
    return more;
  };
  const CliResult json = Cli(with({"--json"}));  // no data is needed
  INFO(json.err);
  REQUIRE(json.code == 0);
  CHECK(Json::parse(json.out)["models"][0]["command_metric"] ==
        11.0);  // "model.onnx" and a line end
  CHECK(Json::parse(json.out)["models"][1]["command_metric"] == 12.0);
  CHECK(Cli(with({"--metric-max-rise", "1", "--metric-min", "12", "--metric-max", "12"})).code ==
        0);
  CHECK(Has(Error(with({"--metric-max-rise", "0.5"}), 5),
            "the metric of the command rises by 1, more than 0.5"));
  CHECK(Has(Error(with({"--metric-min", "12.5"}), 5), "gives 12, less than 12.5"));
  CHECK(Cli(with({"--metric-max-drop", "0"})).code == 0);
  CHECK(Has(Error({"eval", bench.model, "--metric-min", "1"}, 2), "needs --metric-command"));
  CHECK(Has(
      Error({"eval", bench.model, "--metric-command", "echo 1 {model}", "--metric-max-drop", "1"},
            2),
      "give MODEL2"));
}

TEST_CASE("quantize measures the user's own metric on the model that it is about to write") {
  const Bench bench;
  const std::string seen = bench.folder / "seen.onnx", out = bench.folder / "q.onnx";
  // The command keeps what it saw; bytes are a metric that the test can count, too.
  const std::string command = "cp {model} '" + seen + "'; stat -c %s {model}";
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> args = {"quantize", bench.model, "--calib",          bench.data,
                                     "-o",       out,         "--metric-command", command};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  };
  REQUIRE(Cli(run({"--metric-min", "1"})).code == 0);
  CHECK((Contents(seen) == Contents(out)));
  const Json report = Json::parse(Contents(bench.folder / "q.report.json"));
  CHECK(report["facts"]["command_metric_float"] == std::filesystem::file_size(bench.model));
  CHECK(report["facts"]["command_metric_quantized"] == std::filesystem::file_size(out));
  CHECK(report["gates"][0]["name"] == "metric_min");
  CHECK(report["gates"][0]["verdict"] == "passed");
  const auto before = support::FilesIn(bench.folder);
  // A gate that fails is told; the model is there all the same, and no temporary folder is.
  std::filesystem::remove(out);
  CHECK(Has(Error(run({"--metric-max", "10"}), 5), "more than 10"));
  CHECK(support::FilesIn(bench.folder) == before);
  // A command that fails leaves nothing.
  std::filesystem::remove(out);
  CHECK(Cli({"quantize", bench.model, "--calib", bench.data, "-o", out, "--metric-command",
             "false {model}"})
            .code == 4);
  CHECK_FALSE(std::filesystem::exists(out));
  CHECK(support::FilesIn(bench.folder).size() + 1 == before.size());
  CHECK(Has(
      Error({"quantize", bench.model, "--calib", bench.data, "-o", out, "--metric-min", "1"}, 2),
      "needs --metric-command"));
}

TEST_CASE("what can be wrong with a metric command is one clear line") {
  const auto error = [](const std::string& command, double timeout = 0) {
    const Result<double> result = RunMetricCommand(command, "dir/it's.onnx", timeout);
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().message().find('\n') == std::string::npos);
    return result.status().message();
  };
  const std::string on = "--metric-command on 'dir/it's.onnx': ";
  CHECK(error("echo 1") == "--metric-command needs {model} where the path of the model belongs");
  CHECK(error("exit 3 # {model}") == on + "exited with code 3");
  CHECK(error("no-such-program-at-all {model} 2>/dev/null") ==
        on + "exited with code 127, as for a command that is not found");
  CHECK(error("kill -9 $$ # {model}") == on + "ended by signal 9");
  CHECK(error("echo top-1 {model}") ==
        on + "printed 'top-1 dir/it's.onnx' last, which is no number");
  CHECK(error("echo nan # {model}") == on + "printed 'nan' last, which is no number");
  CHECK(error("true {model}") ==
        on + "printed nothing on standard output; its last line has to be a number");
  CHECK(error("sleep 30 & sleep 30 # {model}", 0.2) ==
        on + "took longer than 0.2 s (--metric-timeout)");
  // The path reaches the program as one word.
  CHECK(*RunMetricCommand("printf '%s' {model} | wc -c", "a b'$(x)\"c.onnx", 0) == 15);
  CHECK(*RunMetricCommand("echo -1.5e3 # {model}", "m", 0) == -1500);
}

TEST_CASE("reports are compared without models") {
  const Bench bench;
  const std::string old_report = bench.folder.Write("old.json", ReportWith(85, 30, 1000).dump());
  const auto compare = [&](const Json& now, std::vector<std::string> more) {
    const std::string report = bench.folder.Write("new.json", now.dump());
    more.insert(more.begin(), {"compare", "--baseline", old_report, report});
    return more;
  };
  CHECK(Cli(compare(ReportWith(85, 30, 1000), {})).code == 0);
  CHECK(Cli(compare(ReportWith(86, 31, 900), {})).code == 0);
  CHECK(Cli(compare(ReportWith(84.75, 29.8, 1002), {"--max-regress", "0.3"})).code == 0);
  CHECK(
      Has(Error(compare(ReportWith(84.5, 30, 1000), {"--max-regress", "0.3"}), 5),
          "regression: eval_top1_quantized was 85 and is 84.5: 0.5 points worse, allowed are 0.3"));
  CHECK(Has(Error(compare(ReportWith(84.5, 20, 1000), {"--max-regress", "0.3"}), 5),
            "eval_sqnr_db y was 30 and is 20: 10 dB worse, allowed are 0.3; and 1 more of 3"));
  CHECK(Has(Error(compare(ReportWith(85, 30, 1004), {"--max-regress", "0.3"}), 5),
            "output_bytes was 1000 and is 1004: 0.4 percent worse"));
  Json less = ReportWith(85, 30, 1000);
  less["facts"].erase("eval_sqnr_db y");
  CHECK(Has(Error(compare(less, {"--max-regress", "50"}), 5),
            "eval_sqnr_db y is in the baseline only"));
  // null is an exact output.
  Json exact = ReportWith(85, 30, 1000);
  exact["facts"]["eval_sqnr_db y"] = nullptr;
  CHECK(Cli(compare(exact, {})).code == 0);
  Json slow = ReportWith(85, 30, 1000);
  slow["timing"]["seconds"] = 12.0;
  CHECK(Cli(compare(slow, {})).code == 0);
  CHECK(Has(Error(compare(slow, {"--max-slower", "10"}), 5),
            "seconds was 10 and is 12: 20 percent worse"));
  const CliResult json = Cli(compare(ReportWith(84, 31, 1000), {"--json"}));
  CHECK(json.code == 5);
  const Json metrics = Json::parse(json.out)["metrics"];
  CHECK(metrics[0]["name"] == "eval_top1_quantized");
  CHECK(metrics[0]["regress"] == 1.0);
  CHECK(metrics[0]["verdict"] == "failed");
}

TEST_CASE("reports that are none, or of another kind, are usage errors") {
  const Bench bench;
  const std::string good = bench.folder.Write("good.json", ReportWith(85, 30, 1000).dump());
  const auto error = [&](const std::string& text) {
    return Error({"compare", "--baseline", good, bench.folder.Write("bad.json", text)}, 2);
  };
  CHECK(Has(error("{"), "is no report of quantize and no output of eval --json"));
  CHECK(Has(error(R"({"schema": "roundel.lint/1"})"), "its schema is 'roundel.lint/1'"));
  CHECK(Has(error(R"({"schema": "roundel.report/1", "facts": 1})"), "does not fit its schema"));
  CHECK(Has(error(R"({"schema": "roundel.report/1"})"), "does not fit its schema"));
  CHECK(Has(error(R"({"schema": "roundel.eval/1", "models": [{}]})"), "have different metrics"));
  CHECK(Has(Error({"compare", "--baseline", good, good, good}, 2),
            "give the new report, and no model"));
  CHECK(Error({"compare", "--baseline", good, bench.folder / "none.json"}, 2).find("none.json") !=
        std::string::npos);
  const std::string empty =
      bench.folder.Write("empty.json", R"({"schema": "roundel.report/1", "facts": {}})");
  CHECK(Has(Error({"compare", "--baseline", empty, good}, 2), "has no metric to compare"));
}

}  // namespace roundel::cmd
