#include <cstdlib>
#include <regex>

#include <nlohmann/json.hpp>

#include "tests/cmd/cli.h"

using namespace roundel;
using namespace roundel::support;

namespace {

const std::vector<std::string> kCommands = {
    "quantize", "run",     "inspect",    "eval", "compare", "export", "passes",
    "targets",  "recipes", "completion", "man",  "schema",  "batch",  "stats"};

std::string ErrorOf(const std::vector<std::string>& args, int code) {
  const CliResult result = Cli(args);
  CHECK(result.code == code);
  CHECK(result.out.empty());
  return result.err;
}

// Compares with a file of testdata/golden; UPDATE_GOLDENS=1 writes it instead.
void CheckGolden(const std::string& name, const std::string& text) {
  const std::string path = std::string(ROUNDEL_SOURCE_DIR) + "/testdata/golden/" + name;
  if (std::getenv("UPDATE_GOLDENS") != nullptr) {
    std::ofstream(path) << text;
    return;
  }
  INFO("if the change is meant: UPDATE_GOLDENS=1, then review the diff");
  CHECK(Contents(path) == text);
}

}  // namespace

TEST_CASE("help pages match their goldens") {
  CheckGolden("help/roundel.txt", Cli({"--help"}).out);
  for (const std::string& command : kCommands) {
    std::ostringstream out, err;
    CHECK(cmd::RunMain({command, "--help"}, out, err) == 0);
    CHECK(err.str().empty());
    CheckGolden("help/" + command + ".txt", out.str());
  }
}

TEST_CASE("help pages stay within 100 columns and name every command") {
  const std::string main_help = Cli({"--help"}).out;
  for (const std::string& command : kCommands) {
    CHECK(main_help.find("\n  " + command + " ") != std::string::npos);
    std::ostringstream out, err;
    cmd::RunMain({command, "-h"}, out, err);
    std::istringstream lines(out.str());
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      CHECK(line.size() <= 100);
    }
  }
}

TEST_CASE("the version is one line") {
  const CliResult result = Cli({"--version"});
  CHECK(result.code == 0);
  CHECK(std::regex_match(result.out, std::regex("roundel [0-9.]+( \\([0-9a-f]+(-dirty)?\\))?\n")));
  CHECK(result.out.back() == '\n');
  CHECK(ErrorOf({"--version", "--jsn"}, 2) ==
        "error: --version takes --json and nothing else, not '--jsn'\n");
}

TEST_CASE("the version as JSON names compiler, libraries and processor") {
  const auto json = nlohmann::json::parse(Cli({"--version", "--json"}).out);
  CHECK(Cli({"--version"}).out.find(json["version"].get<std::string>()) != std::string::npos);
#if defined(__clang__)
  CHECK(json["compiler"].get<std::string>().starts_with("Clang "));
#else
  CHECK(json["compiler"] ==
        "GCC " +
            std::string(__VERSION__).substr(0, json["compiler"].get<std::string>().size() - 4));
#endif
  const std::regex version("[0-9]+(\\.[0-9]+)+");
  CHECK(std::regex_match(json["onednn"]["version"].get<std::string>(), version));
  CHECK_FALSE(json["onednn"]["isa"].get<std::string>().empty());
  CHECK(json["dependencies"].size() == 10);
  for (const auto& dependency : json["dependencies"]) {
    INFO(dependency);
    CHECK(std::regex_match(dependency["version"].get<std::string>(), version));
  }
#if defined(__x86_64__)
  // The processor's features as the kernel lists them.
  const std::string known = Contents("/proc/cpuinfo");
  for (const auto& feature : json["processor_features"]) {
    std::string name = feature;
    if (name == "sse4.2") name = "sse4_2";
    if (name == "avx512vnni") name = "avx512_vnni";
    INFO(name);
    CHECK(known.find(" " + name + " ") != std::string::npos);
  }
  CHECK((known.find(" avx2 ") != std::string::npos) ==
        (json["processor_features"].dump().find("\"avx2\"") != std::string::npos));
#endif
}

TEST_CASE("wrong command lines exit with 2 and name what is nearest") {
  CHECK(ErrorOf({}, 2) == "error: no command given; see 'roundel --help'\n");
  CHECK(ErrorOf({"quantise"}, 2) ==
        "error: unknown command 'quantise'; did you mean 'quantize'?; see 'roundel --help'\n");
  CHECK(ErrorOf({"zzzzzzzzzz"}, 2) ==
        "error: unknown command 'zzzzzzzzzz'; see 'roundel --help'\n");
  CHECK(ErrorOf({"--verison"}, 2) == "error: unknown flag '--verison'; see 'roundel --help'\n");
  CHECK(ErrorOf({""}, 2) == "error: unknown command ''; see 'roundel --help'\n");
  CHECK(ErrorOf({"quantize", "m.onnx", "--calbi", "x"}, 2) ==
        "error: unknown flag '--calbi'; did you mean '--calib'?; see 'roundel quantize --help'\n");
  CHECK(ErrorOf({"quantize", "m.onnx", "--calbi=x"}, 2) ==
        "error: unknown flag '--calbi'; did you mean '--calib'?; see 'roundel quantize --help'\n");
  CHECK(ErrorOf({"inspect", "a.onnx", "b.onnx"}, 2) ==
        "error: unexpected argument 'b.onnx'; see 'roundel inspect --help'\n");
  CHECK(ErrorOf({"inspect"}, 2) == "error: MODEL is required; see 'roundel inspect --help'\n");
  CHECK(ErrorOf({"quantize", "m.onnx", "--calib"}, 2).find("see 'roundel quantize --help'") !=
        std::string::npos);
  CHECK(ErrorOf({"quantize", "m.onnx", "--calib", "--preset", "tf"}, 2) ==
        "error: --calib: the value is missing before '--preset'; see 'roundel quantize --help'\n");
  CHECK(ErrorOf({"passes", "--threads", "many"}, 2).find("--threads") != std::string::npos);
  CHECK(ErrorOf({"passes", "--threads", "-1"}, 2).find("--threads") != std::string::npos);
  CHECK(ErrorOf({"passes", "--threads", "99999999999999"}, 2).find("--threads") !=
        std::string::npos);
  CHECK(ErrorOf({"passes", "-v", "-q"}, 2).find("excludes") != std::string::npos);
  CHECK(ErrorOf({"eval", "a", "b", "--encodings", "c", "--data", "d"}, 2).find("excludes") !=
        std::string::npos);
}

TEST_CASE("control characters in arguments do not break the one line of an error") {
  CHECK(ErrorOf({"a\nb\x1b[31m"}, 2).find("\\x0ab\\x1b") != std::string::npos);
  CHECK(ErrorOf({"inspect", "no\nsuch.onnx"}, 3).find("no\\x0asuch.onnx") != std::string::npos);
}

TEST_CASE("a stream that cannot be written to is an error") {
  std::ostringstream err;
  std::ofstream closed;  // never opened: every write fails
  CHECK(cmd::RunMain({"targets"}, closed, err) == 1);
  CHECK(err.str() == "error: cannot write to standard output\n");
}

TEST_CASE("passes are listed, described and written as Markdown") {
  const std::string list = Cli({"passes"}).out;
  for (const char* pass : {"bias_correct", "bn_fold", "calibrate", "cle", "high_bias_absorb"})
    CHECK(list.find("\n" + std::string(pass) + " ") != std::string::npos);
  const std::string one = Cli({"passes", "calibrate"}).out;
  CHECK(one.find("percentile") != std::string::npos);
  CHECK(one.find("passes:\n  - calibrate: {") != std::string::npos);
  CHECK(ErrorOf({"passes", "calibrat"}, 2) ==
        "error: no pass 'calibrat'; did you mean 'calibrate'?\n");
  CHECK(ErrorOf({"passes", "zzzzzzzzzz"}, 2).find("; there are adaround, ") != std::string::npos);
  const auto json = nlohmann::json::parse(Cli({"passes", "--json"}).out);
  CHECK(json["passes"].size() >= 4);
  for (const auto& pass : json["passes"]) {
    CHECK_FALSE(pass["summary"].get<std::string>().empty());
    for (const auto& param : pass["params"]) {
      CHECK_FALSE(param["help"].get<std::string>().empty());
    }
  }
}

TEST_CASE("passes/README.md is what --markdown writes") {
  const std::string path = std::string(ROUNDEL_SOURCE_DIR) + "/passes/README.md";
  const std::string text = Cli({"passes", "--markdown"}).out;
  INFO("renew it: roundel passes --markdown > passes/README.md");
  CHECK(Contents(path) == text);
}

TEST_CASE("targets and recipes are listed with their purpose in one line") {
  const auto targets = nlohmann::json::parse(Cli({"targets", "--json"}).out);
  CHECK(targets["targets"].size() >= 1);
  for (const auto& target : targets["targets"])
    CHECK_FALSE(target["summary"].get<std::string>().empty());
  const auto recipes = nlohmann::json::parse(Cli({"recipes", "--json"}).out);
  REQUIRE(recipes["recipes"].size() >= 2);
  CHECK(recipes["recipes"][0]["name"] == "data_free_int8");
  for (const auto& recipe : recipes["recipes"])
    CHECK(recipe["summary"].get<std::string>().size() <= 90);
  CHECK(Cli({"targets"}).out.find("ort-cpu") != std::string::npos);
}

TEST_CASE("schemas are listed and printed, and unknown names get the nearest") {
  const std::string list = Cli({"schema"}).out;
  const auto json = nlohmann::json::parse(Cli({"schema", "--json"}).out);
  CHECK(json["schemas"].size() >= 4);
  for (const auto& schema : json["schemas"]) {
    const std::string name = schema["name"];
    CHECK(list.find("\n" + name + " ") != std::string::npos);
    const std::string text = Cli({"schema", name}).out;
    const auto parsed = nlohmann::json::parse(text);
    CHECK(parsed["title"] == schema["schema"]);
    CHECK(parsed["properties"]["schema"]["const"] == schema["schema"]);
    // The schema's name with its version must not change.
    CHECK(Cli({"schema", name + "-1"}).out == text);
  }
  CHECK(ErrorOf({"schema", "reprot"}, 2) == "error: no schema 'reprot'; did you mean 'report'?\n");
  CHECK(ErrorOf({"schema", "zzzzzzzzzz"}, 2).find("; there are batch, ") != std::string::npos);
}
