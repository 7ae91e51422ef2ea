// The installed library, as a program elsewhere uses it: examples/library, built with nothing but
// find_package(roundel).

#include <filesystem>
#include <set>

#include "lib/base/text.h"
#include "tests/e2e/ort_runner.h"
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
const std::string kSample = kSource + "/testdata/sample";

void Succeed(const std::string& command) {
  const ProcessResult result = Shell(command);
  INFO(command << "\n" << result.out << result.err);
  REQUIRE(result.code == 0);
}

#if defined(__SANITIZE_ADDRESS__)
constexpr char kFlags[] = "-DCMAKE_CXX_FLAGS='-fsanitize=address,undefined'";
#else
constexpr char kFlags[] = "";
#endif

}  // namespace

TEST_CASE("the example builds against the installed library and writes what the program writes") {
  const ScratchFolder scratch("library");
  const std::string prefix = scratch.File("prefix"), build = scratch.File("build");
  Succeed(StrCat("cmake --install '", kBuild, "' --component development --prefix '", prefix, "'"));
  std::set<std::string> headers;
  for (const auto& entry : fs::recursive_directory_iterator(prefix + "/include"))
    if (entry.is_regular_file()) headers.insert(entry.path().filename());
  CHECK(headers == std::set<std::string>{"roundel.h"});

  Succeed(StrCat("cmake -S '", prefix, "/share/doc/libroundel-dev/examples/library' -B '", build,
                 "' -DCMAKE_PREFIX_PATH='", prefix, "' -DCMAKE_CXX_COMPILER=", ROUNDEL_COMPILER,
                 " ", kFlags, " && cmake --build '", build, "'"));
  const std::string example = build + "/quantize_images";
  const std::string ours = scratch.File("ours.onnx"), theirs = scratch.File("theirs.onnx");
  Succeed(StrCat(example, " '", kSample, "/model.onnx' '", kSample, "/calib' '", theirs, "'"));
  Succeed(StrCat("'", kBuild, "/roundel' quantize '", kSample, "/model.onnx' --calib '", kSample,
                 "/calib' --preset tf -q -o '", ours, "'"));
  CHECK(FileText(ours) == FileText(theirs));
  CHECK(FileText(scratch.File("ours.encodings.json")) ==
        FileText(scratch.File("theirs.encodings.json")));
  CHECK(fs::exists(scratch.File("theirs.report.json")));

  // Errors have the program's codes and messages.
  const ProcessResult no_model = Shell(StrCat(example, " none.onnx '", kSample, "/calib' x.onnx"));
  const ProcessResult said = Shell(StrCat("'", kBuild, "/roundel' inspect none.onnx"));
  CHECK(no_model.code == 3);
  CHECK(no_model.err == said.err);
  const ProcessResult no_data =
      Shell(StrCat(example, " '", kSample, "/model.onnx' '", scratch.path(), "/none' x.onnx"));
  CHECK(no_data.code == 4);
  const ProcessResult onto_itself = Shell(StrCat(
      "cp '", kSample, "/model.onnx' '", scratch.path(), "' && ", example, " '",
      scratch.File("model.onnx"), "' '", kSample, "/calib' '", scratch.File("model.onnx"), "'"));
  CHECK(onto_itself.code == 2);
  CHECK(FileText(scratch.File("model.onnx")) == FileText(kSample + "/model.onnx"));
}
