// The files that `cmake --install` installs.

#include <filesystem>
#include <map>

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "tests/e2e/ort_runner.h"
#include "tests/e2e/validate_runner.h"
#include "tests/support/catch.h"
#include "tests/support/process.h"

using namespace roundel;
using namespace roundel::e2e;
using support::FileText;
using support::ProcessResult;
using support::Shell;
namespace fs = std::filesystem;

namespace {

const std::string kBuild = ROUNDEL_BINARY_DIR;
const std::string kSource = ROUNDEL_SOURCE_DIR;

std::string Output(const std::string& command) {
  const ProcessResult result = Shell(command);
  INFO(command << "\n" << result.err);
  REQUIRE(result.code == 0);
  return result.out;
}

}  // namespace

TEST_CASE("the installed tree holds program, pages, completion and bill of materials") {
  const ScratchFolder scratch("install");
  const std::string prefix = scratch.File("prefix");
  Output(StrCat("cmake --install '", kBuild, "' --prefix '", prefix, "'"));
  const std::string program = prefix + "/bin/roundel";
  const std::string version = Output(program + " --version --json");
  CHECK(version == Output(kBuild + "/roundel --version --json"));

  CHECK(Output(StrCat("zcat -f ", prefix, "/share/man/man1/roundel-quantize.1*")) ==
        Output(program + " man quantize"));
  CHECK(Output(StrCat("ls ", prefix, "/share/man/man1 | wc -l")) ==
        StrCat(Split(Output(program + " --help | grep '^  [a-z]*  '"), '\n').size(), "\n"));
  CHECK(FileText(prefix + "/share/bash-completion/completions/roundel") ==
        Output(program + " completion bash"));
  CHECK(FileText(prefix + "/share/fish/vendor_completions.d/roundel.fish") ==
        Output(program + " completion fish"));
  CHECK(Output(StrCat("cat ", prefix, "/share/zsh/*/_roundel")) ==
        Output(program + " completion zsh"));
  CHECK(FileText(prefix + "/share/doc/roundel/LICENSE") == FileText(kSource + "/LICENSE"));
  // No installed file contains a path of the build.
  CHECK(Shell(StrCat("grep -rlIE '", kSource, "|", prefix, "' '", prefix, "'")).out.empty());

  const std::string path = prefix + "/share/doc/roundel/sbom.cdx.json";
  const auto bom = nlohmann::json::parse(FileText(path));
  const auto facts = nlohmann::json::parse(version);
  CHECK(bom["metadata"]["component"]["version"] == facts["version"]);
  std::map<std::string, std::string> listed, known;
  for (const auto& component : bom["components"]) listed[component["name"]] = component["version"];
  for (const auto& dependency : facts["dependencies"])
    known[dependency["name"]] = dependency["version"];
  CHECK(listed == known);
  if (SkippedWithoutPackage("@cyclonedx/cyclonedx-library")) return;
  CHECK(Output(StrCat("node '", kSource, "/tests/e2e/sbom.js' '", path, "'")) == "ok\n");
}

TEST_CASE("the bill of materials lists every shared library that the program asks for") {
  // Of the compiler and the C library, and fmt, which is a part of spdlog.
  const std::map<std::string, std::string> names = {
      {"libdnnl", "oneDNN"},       {"libonnx_proto", "onnx"}, {"libprotobuf", "protobuf"},
      {"libpng16", "libpng"},      {"libspdlog", "spdlog"},   {"libturbojpeg", "libjpeg-turbo"},
      {"libyaml-cpp", "yaml-cpp"}, {"libz", "zlib"}};
  const std::string version = Output(kBuild + "/roundel --version --json");
  for (const std::string& line :
       Split(Output(StrCat("readelf -d '", kBuild,
                           "/roundel' | sed -n 's/.*NEEDED.*\\[\\(.*\\)\\.so.*/\\1/p'")),
             '\n')) {
    if (line.empty() || line == "libgomp" || line == "libstdc++" || line == "libm" ||
        line == "libgcc_s" || line == "libc" || line == "libfmt" || line.starts_with("ld-linux") ||
        line == "libasan" || line == "libubsan" || line == "libomp")
      continue;
    INFO(line);
    REQUIRE(names.contains(line));
    CHECK(version.find("\"" + names.at(line) + "\"") != std::string::npos);
  }
}
