#include "tests/e2e/validate_runner.h"

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"

namespace roundel::e2e {
namespace {

const std::string kFolder = std::string(ROUNDEL_SOURCE_DIR) + "/tests/e2e";

void Write(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  REQUIRE(file.flush());
}

}  // namespace

bool SkippedWithoutPackage(const std::string& package) {
  static const bool has_node = std::system("node --version >/dev/null 2>&1") == 0;
  return support::SkippedWithout(
      "e2e", has_node && std::filesystem::exists(kFolder + "/node_modules/" + package),
      StrCat("node or tests/e2e/node_modules/", package,
             " is missing (scripts/test.sh installs both)"));
}

std::vector<std::string> Validate(const std::vector<ValidateJob>& jobs) {
  const ScratchFolder scratch("validate");
  nlohmann::json list = nlohmann::json::array();
  for (size_t i = 0; i < jobs.size(); ++i) {
    const std::string schema = scratch.File(StrCat(i, ".schema.json"));
    const std::string document = scratch.File(StrCat(i, ".json"));
    Write(schema, jobs[i].schema);
    Write(document, jobs[i].document);
    list.push_back({{"schema", schema},
                    {"document", document},
                    {"closed", jobs[i].closed},
                    {"kind", jobs[i].kind}});
  }
  Write(scratch.File("jobs.json"), list.dump());
  const std::string command =
      StrCat("node '", kFolder, "/validate.js' '", scratch.File("jobs.json"), "' > '",
             scratch.File("out.txt"), "' 2>&1");
  const int code = std::system(command.c_str());
  std::vector<std::string> lines;
  std::ifstream out(scratch.File("out.txt"));
  for (std::string line; std::getline(out, line);) lines.push_back(line);
  INFO("validate.js says: " << Join(lines, "\n"));
  REQUIRE(code == 0);
  REQUIRE(lines.size() == jobs.size());
  return lines;
}

}  // namespace roundel::e2e
