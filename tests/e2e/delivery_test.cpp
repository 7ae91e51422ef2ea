// Dockerfile and action.yml cannot run here; the test checks that everything that they name exists.

#include <filesystem>
#include <regex>
#include <set>

#include <yaml-cpp/yaml.h>
#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "tests/support/catch.h"
#include "tests/support/process.h"

using namespace roundel;
using support::FileText;
using support::ProcessResult;
using support::RunProgram;
namespace fs = std::filesystem;

namespace {

const std::string kSource = ROUNDEL_SOURCE_DIR;
const std::string kProgram = std::string(ROUNDEL_BINARY_DIR) + "/roundel";

std::vector<std::string> Matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  std::vector<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it)
    found.push_back((*it)[1]);
  return found;
}

// Sections of scripts/packages.txt, each with its packages; the first is "build".
std::map<std::string, std::set<std::string>> Packages() {
  std::map<std::string, std::set<std::string>> packages;
  std::string section = "build";
  for (std::string line : Split(FileText(kSource + "/scripts/packages.txt"), '\n')) {
    if (line.empty() || line[0] == '#') continue;
    if (line.back() == ':')
      section = line.substr(0, line.size() - 1);
    else
      packages[section].insert(line[0] == '?' ? line.substr(1) : line);
  }
  return packages;
}

// The scripts and sections, presets and components that a text names.
void CheckCommands(const std::string& text) {
  const auto packages = Packages();
  for (const std::string& script : Matches(text, R"((scripts/[a-z_]+\.sh))")) {
    INFO(script);
    REQUIRE(fs::exists(kSource + "/" + script));
    const auto exec = fs::perms::owner_exec;
    CHECK((fs::status(kSource + "/" + script).permissions() & exec) == exec);
  }
  for (const std::string& section :
       Matches(text, R"((?:RUN |&& |\n *)scripts/install\.sh ([a-z]+))")) {
    INFO(section);
    CHECK(packages.contains(section));
  }
  std::set<std::string> presets;
  const auto json = nlohmann::json::parse(FileText(kSource + "/CMakePresets.json"));
  for (const auto& preset : json["buildPresets"]) presets.insert(preset["name"]);
  for (const std::string& preset : Matches(text, R"(--preset ([a-z-]+))")) {
    INFO(preset);
    CHECK(presets.contains(preset));
  }
  const std::string rules = FileText(kSource + "/cmake/install.cmake");
  for (const std::string& component : Matches(text, R"(--component ([a-z]+))")) {
    INFO(component);
    CHECK(rules.find("COMPONENT " + component) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("the Dockerfile names what exists, and its program runs as nobody special") {
  const std::string text = FileText(kSource + "/Dockerfile");
  CheckCommands(text);
  for (const std::string& line : Split(text, '\n')) {
    if (!line.starts_with("COPY ")) continue;
    std::vector<std::string> words = Split(line.substr(5), ' ');
    words.pop_back();  // the destination
    for (const std::string& path : words) {
      INFO(path);
      CHECK(fs::exists(kSource + "/" + path));
    }
  }
  // Both stages use the same Debian image, pinned to one version.
  const std::vector<std::string> images = Matches(text, "FROM ([a-z0-9:.-]+)");
  CHECK(images == std::vector<std::string>{"debian:12-slim", "debian:12-slim"});
  const size_t user = text.find("\nUSER "), entry = text.find("\nENTRYPOINT [\"roundel\"]");
  REQUIRE(user != std::string::npos);
  REQUIRE(entry != std::string::npos);
  CHECK(user < entry);
  CHECK(text.find("useradd --create-home " + Matches(text, "\nUSER ([a-z]+)").at(0)) < user);
  const std::vector<std::string> args = Matches(text, R"re(CMD \["([^"]*)"\])re");
  REQUIRE(args.size() == 1);
  CHECK(RunProgram({kProgram, args[0]}).code == 0);
  // The second stage installs the package that the first one builds.
  const std::string name = Matches(FileText(kSource + "/cmake/package.cmake"),
                                   "CPACK_DEBIAN_PROGRAM_PACKAGE_NAME ([a-z]+)")
                               .at(0);
  CHECK(text.find("/packages/" + name + "_*.deb") != std::string::npos);
}

TEST_CASE("the action names what exists and runs nothing that its user could inject") {
  const std::string text = FileText(kSource + "/action.yml");
  CheckCommands(text);
  const YAML::Node action = YAML::Load(text);
  CHECK(action["runs"]["using"].as<std::string>() == "composite");
  std::set<std::string> ids;
  for (const YAML::Node& step : action["runs"]["steps"]) {
    REQUIRE(step["id"].IsDefined());
    ids.insert(step["id"].as<std::string>());
    INFO(step["id"].as<std::string>());
    if (step["uses"].IsDefined()) {
      CHECK(
          std::regex_match(step["uses"].as<std::string>(), std::regex("actions/[a-z-]+@v[0-9]+")));
      continue;
    }
    REQUIRE(step["run"].IsDefined());
    CHECK(step["shell"].as<std::string>() == "bash");
    // Expressions are text put into the script before the shell reads it.
    const std::string script = step["run"].as<std::string>();
    CHECK(script.find("${{") == std::string::npos);
    CHECK(RunProgram({"/bin/bash", "-nc", script}).code == 0);
    for (const std::string& list : Matches(script, "find ([A-Za-z ./]+) -type"))
      for (const std::string& path : Split(list, ' ')) CHECK(fs::exists(kSource + "/" + path));
    for (const std::string& flag : Matches(script, R"(bin/roundel" (--[a-z]+))"))
      CHECK(RunProgram({kProgram, flag}).code == 0);
  }
  for (const std::string& id : Matches(text, R"(steps\.([a-z]+)\.)")) CHECK(ids.contains(id));
  // The sum of the sources covers all folders that the build reads.
  for (const char* folder :
       {"api", "cmake", "cmd", "configs", "include", "lib", "passes", "schemas"})
    CHECK(text.find(StrCat(" ", folder, " ")) != std::string::npos);
}

TEST_CASE("the development package asks for packages that building needs, too") {
  const std::string list =
      Matches(FileText(kSource + "/cmake/package.cmake"), R"re(PACKAGE_DEPENDS "([^"]*)")re").at(0);
  const std::set<std::string> build = Packages()["build"];
  const std::vector<std::string> names = Matches(list, "([a-z0-9-]+)");
  CHECK(names.size() >= 8);
  for (const std::string& name : names) {
    INFO(name);
    CHECK(build.contains(name));
  }
}
